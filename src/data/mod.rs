//! Data sets: uploaded archives, imported as cached pictures with their faces.

mod archive;
mod cache;
mod copies;
mod decode;
mod decoding;
mod difficulty_lists;
pub mod export;
mod extensions;
mod foreign;
mod ignored;
pub mod import;
mod judge;
mod labels;
mod manifest;
mod names;
pub mod options;
mod plan;
mod plan_error;
mod problems;
mod report;
mod reporter;
pub mod resample;
mod split;
mod survey;
mod tables;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use image::RgbImage;

pub use self::archive::{ArchiveError, ArchiveLimits, Odd};
pub use self::cache::{CACHE_SIZE, PictureFile};
pub use self::decode::{PictureError, read_upright};
pub use self::labels::{BoxShape, LabelOptions, Units};
pub use self::manifest::{
    Counts, DatasetSummary, Difficulty, FaceSizes, Manifest, Picture, Split, Splits,
};
pub use self::plan_error::PlanError;
pub use self::problems::Problems;
pub use self::report::{FileTally, ImportProblem, ImportReport, RowTally};

use self::cache::{INPUTS, SQUARES};
use self::manifest::FORMAT_VERSION;
use crate::disk;

const MANIFEST: &str = "manifest.json";

/// An imported data set. It never changes.
#[derive(Debug)]
pub struct ImportedDataset {
    dir: PathBuf,
    /// Everything but the pixels.
    pub manifest: Manifest,
}

/// The error for a data set whose folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the data set in {dir} cannot be used: {reason}")]
pub struct DatasetError {
    dir: PathBuf,
    reason: String,
}

impl ImportedDataset {
    /// Whether a folder looks like a data set that [`import::import`] created.
    pub fn is_at(dir: &Path) -> bool {
        dir.join(MANIFEST).is_file()
    }

    /// Opens a data set that [`import::import`] created.
    ///
    /// # Errors
    ///
    /// [`DatasetError`] if a file is missing, damaged or of the wrong length.
    pub fn open(dir: &Path) -> Result<Self, DatasetError> {
        let failed = |reason: String| DatasetError { dir: dir.to_owned(), reason };
        let text = std::fs::read(dir.join(MANIFEST)).map_err(|error| failed(error.to_string()))?;
        let manifest: Manifest =
            serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))?;
        if manifest.format_version != FORMAT_VERSION {
            let found = manifest.format_version;
            return Err(failed(format!(
                "it has format {found}, not {FORMAT_VERSION}; import it again"
            )));
        }
        for file in [SQUARES, INPUTS] {
            let length = file.open(dir).and_then(|file| file.metadata()).map(|data| data.len());
            let length = length.map_err(|error| failed(error.to_string()))?;
            let expected = (manifest.pictures.len() * file.stride()) as u64;
            if length != expected {
                return Err(failed(format!("its cache has {length} bytes instead of {expected}")));
            }
        }
        Ok(Self { dir: dir.to_owned(), manifest })
    }

    /// Links the data set's files into another folder. They never change, so hard links save the space and time of a
    /// copy.
    ///
    /// # Errors
    ///
    /// Any error of the file system. Some file systems do not support hard links.
    pub fn link(&self, dir: &Path) -> io::Result<()> {
        let work = import::work_folder(dir);
        disk::remove_folder(&work)?;
        fs::create_dir_all(&work)?;
        let files = fs::read_dir(&self.dir)?;
        let linked = files.map(|file| {
            let file = file?;
            fs::hard_link(file.path(), work.join(file.file_name()))
        });
        let published = linked.collect::<io::Result<()>>().and_then(|()| {
            disk::sync_folder(&work)?;
            fs::rename(&work, dir)?;
            disk::sync_folder(dir.parent().unwrap_or(Path::new(".")))
        });
        if published.is_err() {
            let _ = disk::remove_folder(&work); // If this fails, the next import removes it.
        }
        published
    }

    /// Returns a picture, 256 pixels on its longer side; `None` if the index is out of range.
    ///
    /// # Errors
    ///
    /// Fails if the cache cannot be read.
    pub fn picture(&self, index: usize) -> io::Result<Option<RgbImage>> {
        let Some(picture) = self.manifest.pictures.get(index) else { return Ok(None) };
        let square = SQUARES.read(&SQUARES.open(&self.dir)?, index)?;
        Ok(cache::crop(square, &picture.letterbox))
    }
}
