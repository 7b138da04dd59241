//! A zip that is written from front to back.

use std::io::{self, BufWriter, Write};

use zip::ZipWriter;
use zip::write::{SimpleFileOptions, StreamWriter};

/// Bytes that are passed on together: the zip writer's own pieces are as small as 4 bytes.
const PIECE: usize = 64 << 10;
/// Pictures are compressed already, so only the fastest level is worth its time. They are not stored as they are: of
/// files whose size is not known in advance, only compressed ones can be read without the zip's directory.
const FASTEST: i64 = 1;

/// A zip that is being written.
pub(super) struct ExportArchive<W: Write> {
    zip: ZipWriter<StreamWriter<BufWriter<W>>>,
}

impl<W: Write> ExportArchive<W> {
    pub(super) fn new(out: W) -> Self {
        Self { zip: ZipWriter::new_stream(BufWriter::with_capacity(PIECE, out)) }
    }

    /// Begins a text file. What is written to the returned writer becomes its content.
    pub(super) fn text(&mut self, path: &str) -> io::Result<&mut dyn Write> {
        self.zip.start_file(path, SimpleFileOptions::default())?;
        Ok(&mut self.zip)
    }

    /// Adds a picture.
    pub(super) fn picture(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let options = SimpleFileOptions::default().compression_level(Some(FASTEST));
        self.zip.start_file(path, options)?;
        self.zip.write_all(bytes)
    }

    /// Writes the zip's directory.
    pub(super) fn finish(self) -> io::Result<()> {
        self.zip.finish()?.into_inner().flush()
    }
}
