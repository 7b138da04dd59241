//! Collects problems during an import: a few of each kind in memory, all of them on disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use super::report::{ImportProblem, ImportReport};

/// How many problems of each kind the report itself includes.
const TOLD: usize = 20;

/// The file with all problems of a data set, one JSON object per line.
pub(super) const PROBLEMS: &str = "problems.jsonl";

/// Kinds of problems that are used in several places.
pub(super) mod kinds {
    /// A row whose picture is not in the archive.
    pub(in crate::data) const MISSING: &str = "picture not in the archive";
}

/// The problems of an import.
#[derive(Debug, Default)]
pub(super) struct Reporter {
    /// The report so far.
    pub(super) told: ImportReport,
    /// Folder for the log of all problems; with `None`, only those in the report are kept.
    folder: Option<PathBuf>,
    log: Option<BufWriter<File>>,
    /// The first error from writing the log. [`Self::finish`] returns it.
    failed: Option<io::Error>,
}

impl Reporter {
    /// Returns a reporter that logs every problem to an unnamed file in `folder` until [`Self::finish`] saves them.
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: Some(folder.to_owned()), ..Self::default() }
    }

    /// Returns a separate reporter, which can later be appended or dropped.
    pub(super) fn child(&self) -> Self {
        Self { folder: self.folder.clone(), ..Self::default() }
    }

    /// Adds a note on how the archive was read.
    pub(super) fn note(&mut self, text: String) {
        self.told.notes.push(text);
    }

    /// Adds a problem and counts it under `kind`.
    pub(super) fn add(&mut self, kind: &str, file: &str, row: Option<u64>, reason: String) {
        let is_told = self.has_room(kind);
        *self.told.counts.entry(kind.to_owned()).or_default() += 1;
        if !is_told && self.folder.is_none() {
            return;
        }
        let (kind, file) = (kind.to_owned(), file.to_owned());
        let problem = ImportProblem { kind, file, row, reason };
        if let Err(error) = self.log(&problem) {
            self.failed.get_or_insert(error);
        }
        if is_told {
            self.told.problems.push(problem);
        }
    }

    /// Adds a problem that caused a row to be left out.
    pub(super) fn lose_row(&mut self, kind: &str, file: &str, row: u64, reason: String) {
        self.told.rows.lose(kind, 1);
        self.add(kind, file, Some(row), reason);
    }

    /// Adds a problem that caused a file to be left out.
    pub(super) fn lose_file(&mut self, kind: &str, file: &str, reason: String) {
        self.told.files.lose(kind, 1);
        self.add(kind, file, None, reason);
    }

    /// Whether the report has room for another problem of a kind. Otherwise it is only logged.
    pub(super) fn has_room(&self, kind: &str) -> bool {
        self.told.counts.get(kind).is_none_or(|&count| count < TOLD as u64)
    }

    fn log(&mut self, problem: &ImportProblem) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let log = match &mut self.log {
            Some(log) => log,
            none => none.insert(BufWriter::new(tempfile::tempfile_in(folder)?)),
        };
        serde_json::to_writer(&mut *log, problem)?;
        log.write_all(b"\n")
    }

    /// Adds the problems, counts and notes of a child.
    pub(super) fn append(&mut self, mut child: Self) {
        if let Err(error) = self.append_log(&mut child) {
            self.failed.get_or_insert(error);
        }
        if let Some(error) = child.failed {
            self.failed.get_or_insert(error);
        }
        let (told, other) = (&mut self.told, child.told);
        let mut shown: BTreeMap<String, usize> = BTreeMap::new();
        for problem in &told.problems {
            *shown.entry(problem.kind.clone()).or_default() += 1;
        }
        for problem in other.problems {
            let shown = shown.entry(problem.kind.clone()).or_default();
            if *shown < TOLD {
                *shown += 1;
                told.problems.push(problem);
            }
        }
        for (kind, count) in other.counts {
            *told.counts.entry(kind).or_default() += count;
        }
        for (kind, count) in other.rows.left_out {
            told.rows.lose(&kind, count);
        }
        told.notes.extend(other.notes);
    }

    fn append_log(&mut self, child: &mut Self) -> io::Result<()> {
        let (Some(folder), Some(mut from)) = (&self.folder, child.log.take()) else {
            return Ok(());
        };
        let into = match &mut self.log {
            Some(log) => log,
            none => none.insert(BufWriter::new(tempfile::tempfile_in(folder)?)),
        };
        from.flush()?;
        let mut from = from.into_inner()?;
        from.rewind()?;
        io::copy(&mut from, into)?;
        Ok(())
    }

    /// Writes all problems to the data set's folder and returns the report.
    pub(super) fn finish(mut self) -> io::Result<ImportReport> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if let (Some(folder), Some(log)) = (&self.folder, self.log.take()) {
            let mut from = log.into_inner()?;
            from.rewind()?;
            let mut file = File::create_new(folder.join(PROBLEMS))?;
            io::copy(&mut from, &mut file)?;
            file.sync_all()?;
        }
        Ok(self.told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn many(reporter: &mut Reporter, file: &str) {
        (0..150).for_each(|row| reporter.add("bad", file, Some(row), "x".to_owned()));
        reporter.add("worse", file, None, "y".to_owned());
    }

    #[test]
    fn every_kind_of_problem_is_shown_and_all_are_counted_and_logged() {
        let folder = tempfile::tempdir().unwrap();
        let mut reporter = Reporter::new(folder.path());
        many(&mut reporter, "a.csv");
        let mut child = reporter.child();
        many(&mut child, "b.csv");
        reporter.append(child);
        many(&mut reporter.child(), "dropped.csv");
        let report = reporter.finish().unwrap();
        assert_eq!((report.counts["bad"], report.counts["worse"]), (300, 2));
        let told =
            |kind: &str| report.problems.iter().filter(|problem| problem.kind == kind).count();
        assert_eq!((told("bad"), told("worse")), (20, 2));
        assert_eq!(report.problems[0].to_string(), "a.csv, row 0: x");
        let text = std::fs::read_to_string(folder.path().join(PROBLEMS)).unwrap();
        let logged: Vec<ImportProblem> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(logged.len(), 302);
        assert_eq!(logged[301].to_string(), "b.csv: y");
    }
}
