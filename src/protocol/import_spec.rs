//! The input and the output of an import's worker.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::data::options::ImportOptions;
use crate::data::{DatasetSummary, ImportReport, Manifest};

/// The spec of an import.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImportSpec {
    /// The uploaded archive.
    pub archive: PathBuf,
    /// The data set's folder, which appears only once the import is complete.
    pub dataset_dir: PathBuf,
    /// Limits, and what the user says about the labels.
    pub options: ImportOptions,
    /// Limit on the memory that the worker may allocate, in bytes; `None` for no limit.
    pub memory_bytes: Option<u64>,
    /// How many workers have been started for this import, including this one.
    pub attempt: u32,
}

/// What an import found: the content of `result.json` in the import's folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImportResult {
    /// SHA-256 of the data set's content, in hexadecimal.
    pub content_hash: String,
    /// What the data set's page shows.
    #[serde(flatten)]
    pub summary: DatasetSummary,
    /// What the import found.
    pub report: ImportReport,
}

impl ImportResult {
    /// Returns the result of an import that produced this manifest.
    pub fn of(manifest: &Manifest) -> Self {
        let (content_hash, report) = (manifest.content_hash.clone(), manifest.report.clone());
        Self { content_hash, summary: manifest.summary(), report }
    }
}
