//! How to import, and how that may fail.

use std::io;
use std::ops::ControlFlow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::archive::{ArchiveError, ArchiveLimits};
use super::labels::LabelOptions;
use super::plan_error::PlanError;
use crate::disk;

/// How to import.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// What an archive may hold.
    pub archive: ArchiveLimits,
    /// Pictures of more megapixels are left out.
    pub megapixels: u32,
    /// Share of the pictures to measure on, if the archive does not say.
    pub val_share: f64,
    /// Seed of that split.
    pub seed: u64,
    /// Threads that decode.
    pub threads: usize,
    /// Bytes that must stay free on the disk.
    pub reserve_bytes: u64,
    /// Most bytes that the data set may take.
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

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImportProgress {
    /// Pictures decoded.
    pub done: usize,
    /// Pictures in all; 0 while the archive is looked through.
    pub total: usize,
}

/// Why nothing was imported; nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The archive is refused.
    #[error(transparent)]
    Archive(ArchiveError),
    /// The tables cannot be understood.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The tables are larger than memory should hold.
    #[error("the archive's label files hold more than {} MB", MAX_TABLE_BYTES >> 20)]
    TablesTooLarge,
    /// There is no picture.
    #[error("the archive holds no pictures (JPEG, PNG, WebP, BMP, GIF or TIFF)")]
    NoPictures,
    /// Every picture is bad.
    #[error("none of the archive's {count} pictures can be used; the first, {name}, {reason}")]
    AllBad {
        /// How many.
        count: usize,
        /// The first.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No usable face.
    #[error("no picture has a usable face: {0}")]
    NoFaces(String),
    /// One split is empty.
    #[error(
        "there is no usable {0} picture with a face; add some, or leave the split to the server"
    )]
    EmptySplit(&'static str),
    /// One picture cannot be both trained and measured on.
    #[error(
        "only one picture with a face can be used, {0}; training needs a second one to measure on, so add more pictures"
    )]
    OnePicture(String),
    /// Told to stop.
    #[error("the import was cancelled")]
    Cancelled,
    /// The disk is too full.
    #[error(
        "the data set needs {needed_mb} MB on the server's disk, but only {free_mb} MB may be used; free some room and upload the archive again"
    )]
    NoRoom {
        /// Megabytes that the pictures' cache needs.
        needed_mb: u64,
        /// Megabytes that are free now.
        free_mb: u64,
    },
    /// The disk became full during the import.
    #[error(
        "the server's disk is full; nothing of the data set was kept, so free some room and upload the archive again"
    )]
    DiskFull,
    /// Writing failed.
    #[error("cannot write the data set")]
    Disk(#[source] io::Error),
}

impl ImportError {
    /// The error for a failure of the file system that the data set is written to.
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

/// What a picture that was left out is counted under in a report.
pub const BAD_PICTURE: &str = "bad picture";

/// Receives progress, from several threads; breaking ends the import.
pub type OnProgress<'a> = dyn Fn(ImportProgress) -> ControlFlow<()> + Sync + 'a;

/// All tables together; they are read into memory.
pub(super) const MAX_TABLE_BYTES: u64 = 512 << 20;
