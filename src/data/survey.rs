//! The first pass over an archive, which reads its label files and lists its pictures.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::ops::ControlFlow;

use super::archive::{Archive, ArchiveError, Odd, Visitor};
use super::extensions::{is_label_file, is_picture};
use super::labels::{self, LabelFile};
use super::options::{ImportError, ImportProgress, MAX_TABLE_BYTES, OnProgress};
use super::reporter::Reporter;
use super::{difficulty_lists, foreign};

/// An archive's label files and pictures.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Files that may hold labels, sorted by path.
    pub(super) labels: Vec<LabelFile>,
    /// Paths of the pictures.
    pub(super) pictures: BTreeSet<String>,
}

/// Makes the first pass over an archive.
pub(super) fn survey(
    archive: &Archive,
    progress: &OnProgress<'_>,
    report: &mut Reporter,
) -> Result<Survey, ImportError> {
    let mut looking = Looking {
        survey: Survey::default(),
        seen: BTreeSet::new(),
        room: MAX_TABLE_BYTES,
        progress,
        report,
    };
    archive.visit(&mut looking)?;
    let Looking { mut survey, room, .. } = looking;
    if room == 0 {
        return Err(ImportError::TablesTooLarge);
    }
    survey.labels.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(survey)
}

struct Looking<'a> {
    survey: Survey,
    /// Paths of label files and pictures so far.
    seen: BTreeSet<String>,
    /// How many more bytes of label files may be read.
    room: u64,
    progress: &'a OnProgress<'a>,
    report: &'a mut Reporter,
}

impl Visitor for Looking<'_> {
    fn wants(&mut self, path: &str) -> ControlFlow<(), bool> {
        self.report.told.files.given += 1;
        let (is_picture, is_label_file) = (is_picture(path), is_label_file(path));
        let is_new = !(is_picture || is_label_file) || self.seen.insert(path.to_owned());
        if !is_new {
            let reason = "is in the archive more than once; the first one is used".to_owned();
            self.report.lose_file("duplicate file", path, reason);
        } else if is_picture {
            self.survey.pictures.insert(path.to_owned());
        }
        let flow = (self.progress)(ImportProgress { done: 0, total: 0 });
        flow.map_continue(|()| is_new && !is_picture)
    }

    fn file(&mut self, path: &str, content: &mut dyn Read) -> io::Result<()> {
        if !is_label_file(path) {
            // Some pictures have no extension or a wrong one.
            let mut head = Vec::new();
            content.take(foreign::HEAD).read_to_end(&mut head)?;
            if foreign::is_picture(&head) && self.seen.insert(path.to_owned()) {
                self.survey.pictures.insert(path.to_owned());
            } else if difficulty_lists::is_list(path) {
                difficulty_lists::leave_out(self.report);
            } else {
                self.report.told.files.lose("not a picture or labels", 1);
            }
            return Ok(());
        }
        let mut bytes = Vec::new();
        let content = labels::without_pictures(path, content);
        let read = content.take(self.room + 1).read_to_end(&mut bytes)? as u64;
        self.room = self.room.saturating_sub(read);
        self.survey.labels.push(LabelFile::new(path.to_owned(), &bytes));
        Ok(())
    }

    fn odd(&mut self, path: &str, odd: Odd) -> Result<(), ArchiveError> {
        if is_label_file(path) && odd != Odd::NotAFile {
            return Err(ArchiveError::Table(path.to_owned(), odd));
        }
        // `wants` has already counted every file, but links and devices do not reach it.
        self.report.told.files.given += u64::from(odd == Odd::NotAFile);
        self.report.lose_file("entry that cannot be used", path, format!("{odd}; it was left out"));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_embedded_in_json_take_no_room() {
        let mut report = Reporter::default();
        let progress = |_| ControlFlow::Continue(());
        let mut looking = Looking {
            survey: Survey::default(),
            seen: BTreeSet::new(),
            room: 100,
            progress: &progress,
            report: &mut report,
        };
        let picture = io::repeat(b'A').take(1 << 20);
        let mut file = (&b"{\"imageData\": \""[..]).chain(picture).chain(&b"\"}"[..]);
        looking.file("a.json", &mut file).unwrap();
        assert_eq!(looking.survey.labels[0].text, "{\"imageData\": \"\"}");
        assert_eq!(looking.room, 83);
    }
}
