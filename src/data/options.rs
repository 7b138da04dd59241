//! The options and errors of an import.

use std::io;
use std::ops::ControlFlow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::archive::{ArchiveError, ArchiveLimits};
use super::labels::LabelOptions;
use super::plan_error::PlanError;
use crate::disk;

/// The options of an import.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImportOptions {
    /// Limits on the archive.
    pub archive: ArchiveLimits,
    /// Pictures with more megapixels are left out.
    pub megapixels: u32,
    /// Share of the pictures for validation, if the archive has no split.
    pub val_share: f64,
    /// Seed for that split.
    pub seed: u64,
    /// Number of decoding threads.
    pub threads: usize,
    /// Bytes that must stay free on the disk.
    pub reserve_bytes: u64,
    /// Upper limit on the data set's size, in bytes.
    pub most_bytes: u64,
    /// What the user says about the labels.
    pub labels: LabelOptions,
}

impl Default for ImportOptions {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let archive = ArchiveLimits::default();
        Self {
            archive,
            megapixels: 100,
            val_share: 0.2,
            seed: 0,
            threads,
            reserve_bytes: 0,
            most_bytes: u64::MAX,
            labels: LabelOptions::default(),
        }
    }
}

/// The progress of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImportProgress {
    /// Pictures decoded so far.
    pub done: usize,
    /// Pictures in total; 0 during the first pass over the archive.
    pub total: usize,
}

/// The reasons why an import failed. A failed import leaves nothing behind.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The archive is refused.
    #[error(transparent)]
    Archive(ArchiveError),
    /// The tables cannot be understood.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The tables are too large for memory.
    #[error("the archive's label files hold more than {} MB", MAX_TABLE_BYTES >> 20)]
    TablesTooLarge,
    /// The archive has no picture.
    #[error("the archive holds no pictures (JPEG, PNG, WebP, BMP, GIF or TIFF)")]
    NoPictures,
    /// No picture can be used.
    #[error("none of the archive's {count} pictures can be used; the first, {name}, {reason}")]
    AllBad {
        /// Number of pictures.
        count: usize,
        /// The first picture.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No picture has a usable face.
    #[error("no picture has a usable face: {0}")]
    NoFaces(String),
    /// A split has no picture with a face.
    #[error(
        "there is no usable {0} picture with a face; add some, or leave the split to the server"
    )]
    EmptySplit(&'static str),
    /// One picture cannot be both trained and measured on.
    #[error(
        "only one picture with a face can be used, {0}; training needs a second one to measure on, so add more pictures"
    )]
    OnePicture(String),
    /// The import was cancelled.
    #[error("the import was cancelled")]
    Cancelled,
    /// The disk is too full.
    #[error(
        "the data set needs {needed_mb} MB on the server's disk, but only {free_mb} MB may be used; free some space and upload the archive again"
    )]
    NoRoom {
        /// Megabytes that the pictures' cache needs.
        needed_mb: u64,
        /// Megabytes that are free now.
        free_mb: u64,
    },
    /// The disk became full during the import.
    #[error(
        "the server's disk is full; none of the data set was kept, so free some space and upload the archive again"
    )]
    DiskFull,
    /// Writing failed.
    #[error("cannot write the data set")]
    Disk(#[source] io::Error),
}

impl ImportError {
    /// Converts an error of the file system that the data set is written to.
    pub fn of_disk(error: io::Error) -> Self {
        if disk::is_full(&error) { Self::DiskFull } else { Self::Disk(error) }
    }
}

impl From<ArchiveError> for ImportError {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Stopped => Self::Cancelled,
            other => Self::Archive(other),
        }
    }
}

/// The kind of problem for a picture that cannot be used.
pub const BAD_PICTURE: &str = "bad picture";

/// A callback for progress, called from several threads. Returning `Break` cancels the import.
pub type OnProgress<'a> = dyn Fn(ImportProgress) -> ControlFlow<()> + Sync + 'a;

/// Limit on all tables together, in bytes, since they are read into memory.
pub(super) const MAX_TABLE_BYTES: u64 = 512 << 20;
