//! Creates small archives of drawn pictures and imports them.

use std::fs;
use std::io::{Cursor, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use blazetune::data::import::import;
use blazetune::data::options::{ImportError, ImportOptions};
use blazetune::data::{ImportedDataset, Manifest};
use flate2::Compression;
use flate2::write::GzEncoder;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Names and contents of files.
pub(crate) type Files = Vec<(String, Vec<u8>)>;

pub(crate) fn files(list: &[(&str, &[u8])]) -> Files {
    list.iter().map(|(name, content)| ((*name).to_owned(), content.to_vec())).collect()
}

pub(crate) fn csv(rows: &str) -> Vec<u8> {
    format!("image_path,x1,y1,w,h\n{rows}").into_bytes()
}

/// A picture of 40 × 30 pixels whose colours depend on `shade` and on the position.
pub(crate) fn drawing(shade: u8) -> RgbImage {
    RgbImage::from_fn(40, 30, |x, y| Rgb([shade, (x * 6) as u8, (y * 8) as u8]))
}

pub(crate) fn encoded(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub(crate) fn png(shade: u8) -> Vec<u8> {
    encoded(drawing(shade), ImageFormat::Png)
}

/// Six pictures with one face each, two without a face, and a table.
pub(crate) fn ordinary() -> Files {
    let mut all: Files =
        (0..8).map(|number| (format!("images/{number}.png"), png(number * 20))).collect();
    let rows: Vec<String> =
        (0..6).map(|number| format!("images/{number}.png,{number},5,10,12\n")).collect();
    all.push(("annotations.csv".to_owned(), csv(&rows.concat())));
    all
}

pub(crate) fn zip(files: &Files) -> Vec<u8> {
    zip_by(CompressionMethod::Deflated, files)
}

pub(crate) fn zip_by(method: CompressionMethod, files: &Files) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        let options = SimpleFileOptions::default().compression_method(method);
        zip.start_file(name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

pub(crate) fn tar(files: &Files) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in files {
        tar_entry(&mut tar, name.as_bytes(), content, tar::EntryType::Regular);
    }
    tar.into_inner().unwrap()
}

/// Adds a tar entry with any name; the builder itself refuses some names.
pub(crate) fn tar_entry(
    tar: &mut tar::Builder<Vec<u8>>,
    name: &[u8],
    content: &[u8],
    kind: tar::EntryType,
) {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_size(content.len() as u64);
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_cksum();
    tar.append(&header, content).unwrap();
}

pub(crate) fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::default());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

/// Replaces every occurrence of `from` with `to`, which has the same length.
pub(crate) fn replaced(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    for at in 0..=bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
    }
    bytes
}

/// A folder with an upload, into which data sets are imported.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn with(archive: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("upload"), archive).unwrap();
        Self { folder }
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.path().join("set")
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn import(&self, options: &ImportOptions) -> Result<Manifest, ImportError> {
        let upload = self.folder.path().join("upload");
        import(&upload, &self.dir(), options, &|_| ControlFlow::Continue(()))
    }

    /// Returns the names of everything in the folder except the upload.
    pub(crate) fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != "upload").collect()
    }
}

/// Imports an archive, and checks that the data set is either complete or absent.
pub(crate) fn imported(archive: &[u8]) -> Result<(Place, ImportedDataset), ImportError> {
    let place = Place::with(archive);
    match place.import(&ImportOptions::default()) {
        Ok(manifest) => {
            let dataset = ImportedDataset::open(&place.dir()).unwrap();
            assert_eq!(dataset.manifest, manifest);
            assert_eq!(place.left(), ["set"]);
            let report = &dataset.manifest.report;
            assert!(report.adds_up(), "{report:?}");
            let logged = dataset.problems(0).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
            assert_eq!(logged.len() as u64, report.counts.values().sum::<u64>());
            Ok((place, dataset))
        }
        Err(error) => {
            assert_eq!(place.left(), [""; 0]);
            Err(error)
        }
    }
}

/// Returns the error that a user reads.
pub(crate) fn refusal(archive: &[u8]) -> String {
    match imported(archive) {
        Ok((_, dataset)) => panic!("imported as {:?}", dataset.manifest),
        Err(error) => error.to_string(),
    }
}
