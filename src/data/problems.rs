//! Reads the full list of a data set's import problems from its folder.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};

use super::ImportedDataset;
use super::report::ImportProblem;
use super::reporter::PROBLEMS;

/// An iterator over problems, in the order in which the import found them.
#[derive(Debug)]
pub struct Problems {
    /// `None` if the import found no problems: it then writes no file.
    file: Option<BufReader<File>>,
    position: u64,
}

impl ImportedDataset {
    /// Returns the problems that start at a position: 0, or an earlier [`Problems::position`].
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read.
    pub fn problems(&self, from: u64) -> io::Result<Problems> {
        let file = match File::open(self.dir.join(PROBLEMS)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            opened => {
                let mut file = opened?;
                file.seek(SeekFrom::Start(from))?;
                Some(BufReader::new(file))
            }
        };
        Ok(Problems { file, position: from })
    }
}

impl Problems {
    /// Returns the byte offset of the next problem.
    pub fn position(&self) -> u64 {
        self.position
    }

    fn read(&mut self) -> io::Result<Option<ImportProblem>> {
        let Some(file) = &mut self.file else { return Ok(None) };
        let mut line = String::new();
        let length = file.read_line(&mut line)?;
        self.position += length as u64;
        if length == 0 { Ok(None) } else { Ok(Some(serde_json::from_str(&line)?)) }
    }
}

impl Iterator for Problems {
    type Item = io::Result<ImportProblem>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
