//! What an import has to say about its input.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Problems told in full; the rest are counted.
const TOLD: usize = 100;

/// What was wrong with rows and pictures, and what was done about it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The first hundred, in the order of the files.
    pub problems: Vec<Problem>,
    /// How many there are of each kind.
    pub counts: BTreeMap<String, u64>,
    /// How the archive was understood.
    pub notes: Vec<String>,
}

/// A row or a picture that could not be used as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The file in the archive.
    pub file: String,
    /// Its row, the header being row 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<u64>,
    /// What is wrong.
    pub reason: String,
}

impl Report {
    /// Adds a problem; `kind` is what it is counted under.
    pub(super) fn add(&mut self, kind: &str, file: &str, row: Option<u64>, reason: String) {
        *self.counts.entry(kind.to_owned()).or_default() += 1;
        if self.problems.len() < TOLD {
            self.problems.push(Problem { file: file.to_owned(), row, reason });
        }
    }
}
