//! The event log, `events.jsonl`: one JSON object per line, append-only.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;

use super::events::{Body, Event};
use crate::time::now;

/// An event log that is open for appending.
#[derive(Debug)]
pub struct EventLog {
    file: File,
    last_seq: u64,
    /// Epochs whose rows are in the file.
    epochs: Vec<u32>,
    /// Number of epochs that were done before the first worker began.
    done_before: Option<u32>,
}

impl EventLog {
    /// Opens the log to append after its last complete line. Removes a partial line that a crash left behind.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let (mut last_seq, mut epochs, mut done_before, mut whole) = (0, Vec::new(), None, 0);
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            let Ok(event) = serde_json::from_slice::<Event>(&line) else { break };
            if line.last() != Some(&b'\n') {
                break;
            }
            whole += line.len() as u64;
            last_seq = event.seq;
            match event.body {
                Body::Started(started) => {
                    done_before = done_before.or(Some(started.resumed_at_epoch));
                }
                Body::Epoch(row) => epochs.push(row.epoch),
                _ => {}
            }
            line.clear();
        }
        drop(reader);
        file.set_len(whole)?;
        file.seek(SeekFrom::Start(whole))?;
        Ok(Self { file, last_seq, epochs, done_before })
    }

    /// Returns the number of epochs done before this job's first worker began, which is 0 unless the job extends
    /// another.
    pub fn done_before(&self) -> u32 {
        self.done_before.unwrap_or(0)
    }

    /// Whether this epoch's row has been reported.
    pub fn has_epoch(&self, epoch: u32) -> bool {
        self.epochs.contains(&epoch)
    }

    /// Appends one event in a single write.
    ///
    /// # Errors
    ///
    /// Any file system error.
    pub fn append(&mut self, body: Body) -> io::Result<()> {
        match &body {
            Body::Started(started) => {
                self.done_before = self.done_before.or(Some(started.resumed_at_epoch));
            }
            Body::Epoch(row) => self.epochs.push(row.epoch),
            _ => {}
        }
        self.last_seq += 1;
        let lasting = !matches!(body, Body::Step(_) | Body::Measured(_) | Body::Importing(_));
        let event = Event { seq: self.last_seq, time: now(), body };
        let mut line = serde_json::to_vec(&event)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        if lasting { self.file.sync_data() } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::events::{Finished, Outcome, Started};

    fn finished() -> Body {
        let outcome = Outcome::Stopped;
        Body::Finished(Finished::without_result(outcome))
    }

    #[test]
    fn sequence_numbers_continue_after_a_torn_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        EventLog::open(&path).unwrap().append(finished()).unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"seq\":2,\"time\":\"2026").unwrap();
        EventLog::open(&path).unwrap().append(finished()).unwrap();

        let text = std::fs::read_to_string(&path).unwrap();
        let seqs: Vec<u64> =
            text.lines().map(|line| serde_json::from_str::<Event>(line).unwrap().seq).collect();
        assert_eq!(seqs, [1, 2]);
    }

    #[test]
    fn every_worker_knows_the_epochs_done_before_the_first_worker() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        assert_eq!(EventLog::open(&path).unwrap().done_before(), 0);
        for resumed_at_epoch in [3, 5] {
            let started = Started {
                device: "cpu".into(),
                resumed_at_epoch,
                resumed_at_step: 0,
                epochs: 9,
                steps: 4,
                views_per_step: None,
            };
            let mut events = EventLog::open(&path).unwrap();
            events.append(Body::Started(started)).unwrap();
            assert_eq!(events.done_before(), 3);
        }
        assert_eq!(EventLog::open(&path).unwrap().done_before(), 3);
    }
}
