//! An import's report on its input.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Problems with rows and pictures, and what the import did about them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImportReport {
    /// The first twenty problems of each kind. [`super::ImportedDataset::problems`] has all of them.
    pub problems: Vec<ImportProblem>,
    /// Number of problems of each kind.
    pub counts: BTreeMap<String, u64>,
    /// Notes on how the archive was read.
    pub notes: Vec<String>,
    /// What happened to the tables' rows.
    #[serde(default)]
    pub rows: RowTally,
    /// What happened to the archive's files.
    #[serde(default)]
    pub files: FileTally,
}

/// Counts of rows: `given` is the sum of all others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RowTally {
    /// Rows of the tables that were used.
    pub given: u64,
    /// Rows that became faces.
    pub faces: u64,
    /// Rows that say their picture shows no face.
    pub empty: u64,
    /// Rows whose boxes count neither as faces nor as background, such as crowds. The boxes are painted grey.
    #[serde(default)]
    pub ignored: u64,
    /// Rows that were left out, by kind.
    pub left_out: BTreeMap<String, u64>,
}

/// Counts of files: `given` is the sum of all others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileTally {
    /// Files in the archive, except those that operating systems add.
    pub given: u64,
    /// Tables and imported pictures.
    pub used: u64,
    /// Files that were left out, by kind.
    pub left_out: BTreeMap<String, u64>,
}

/// A row or a picture that could not be used as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImportProblem {
    /// The kind of problem, as in `counts`.
    #[serde(default)]
    pub kind: String,
    /// The file in the archive.
    pub file: String,
    /// Its row; the header is row 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<u64>,
    /// What is wrong.
    pub reason: String,
}

impl RowTally {
    /// Counts rows that were left out.
    pub(super) fn lose(&mut self, kind: &str, count: u64) {
        if count == 0 {
            return;
        }
        *self.left_out.entry(kind.to_owned()).or_default() += count;
    }
}

impl FileTally {
    /// Counts files that were left out.
    pub(super) fn lose(&mut self, kind: &str, count: u64) {
        if count == 0 {
            return;
        }
        *self.left_out.entry(kind.to_owned()).or_default() += count;
    }
}

impl ImportReport {
    /// Whether every row and every file is accounted for.
    pub fn adds_up(&self) -> bool {
        let rows = self.rows.faces
            + self.rows.empty
            + self.rows.ignored
            + self.rows.left_out.values().sum::<u64>();
        let files = self.files.used + self.files.left_out.values().sum::<u64>();
        rows == self.rows.given && files == self.files.given
    }
}

impl std::fmt::Display for ImportProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.row {
            Some(row) => write!(f, "{}, row {row}: {}", self.file, self.reason),
            None => write!(f, "{}: {}", self.file, self.reason),
        }
    }
}
