//! Writes the sample set as a zip, which appears only once it is complete.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use tempfile::NamedTempFile;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::disk;

/// A zip that is being written to a temporary file beside its final path.
pub(super) struct SampleArchive {
    zip: ZipWriter<BufWriter<NamedTempFile>>,
}

impl SampleArchive {
    /// Creates a temporary file in the folder of `out`.
    pub(super) fn beside(out: &Path) -> io::Result<Self> {
        let file = tempfile::Builder::new().prefix(".sample-").tempfile_in(folder(out))?;
        Ok(Self { zip: ZipWriter::new(BufWriter::new(file)) })
    }

    /// Adds a file without compression, because JPEG data does not compress further. The date is fixed, so that
    /// identical sets give identical zips.
    pub(super) fn add(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::DEFAULT)
            .unix_permissions(0o644);
        self.zip.start_file(name, options).map_err(io::Error::from)?;
        self.zip.write_all(bytes)
    }

    /// Makes the zip durable and moves it to `out`, replacing an existing file. Returns its size in bytes.
    pub(super) fn finish(self, out: &Path) -> io::Result<u64> {
        let file = self.zip.finish().map_err(io::Error::from)?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        let size_bytes = file.as_file().metadata()?.len();
        file.persist(out)?;
        disk::sync_folder(folder(out))?;
        Ok(size_bytes)
    }
}

fn folder(out: &Path) -> &Path {
    match out.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
