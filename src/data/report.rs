//! What an import reports about its input.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many problems are listed in full; the rest are counted.
const TOLD: usize = 100;

/// What was wrong with rows and pictures, and what was done about it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImportReport {
    /// The first hundred, in the order of the files.
    pub problems: Vec<ImportProblem>,
    /// How many there are of each kind.
    pub counts: BTreeMap<String, u64>,
    /// How the archive was understood.
    pub notes: Vec<String>,
}

/// A row or a picture that could not be used as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImportProblem {
    /// The file in the archive.
    pub file: String,
    /// Its row, the header being row 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<u64>,
    /// What is wrong.
    pub reason: String,
}

impl ImportReport {
    /// Adds a problem; `kind` is what it is counted under.
    pub(super) fn add(&mut self, kind: &str, file: &str, row: Option<u64>, reason: String) {
        *self.counts.entry(kind.to_owned()).or_default() += 1;
        if self.problems.len() < TOLD {
            self.problems.push(ImportProblem { file: file.to_owned(), row, reason });
        }
    }

    /// Adds another report.
    pub(super) fn append(&mut self, other: Self) {
        let room = TOLD.saturating_sub(self.problems.len());
        self.problems.extend(other.problems.into_iter().take(room));
        for (kind, count) in other.counts {
            *self.counts.entry(kind).or_default() += count;
        }
        self.notes.extend(other.notes);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_beyond_the_first_hundred_are_still_counted() {
        let many = |file: &str| {
            let mut report = ImportReport::default();
            (0..150).for_each(|row| report.add("bad", file, Some(row), "x".to_owned()));
            report
        };
        let mut report = many("a.csv");
        report.append(many("b.csv"));
        assert_eq!(report.counts["bad"], 300);
        assert_eq!(report.problems.len(), 100);
        assert_eq!(report.problems[0].to_string(), "a.csv, row 0: x");
    }
}
