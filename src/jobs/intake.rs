//! Copies `events.jsonl` to the database. Each line is stored exactly once, even after a crash.
//!
//! One transaction stores the events and advances the read position. The line that says how a worker ended is left to
//! [`super::settle`], which stores it together with the job's new state.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::ensure;
use serde_json::Value;
use serde_json::json;

use crate::protocol::events::{Body, Event, Finished, Measured, Step};
use crate::store;
use crate::store::events::NewEvent;
use crate::store::ids::JobId;
use crate::store::jobs::{BestEpoch, JobProgress};

/// Bytes to read at once. A longer line would never be read completely.
const CHUNK_BYTES: u64 = 16 << 20;

/// A batch of complete lines from the file.
#[derive(Debug)]
pub(super) struct EventBatch {
    from: u64,
    pub(super) to: u64,
    pub(super) events: Vec<Event>,
    pub(super) finished: Option<End>,
    /// An invalid line after the events of this batch.
    pub(super) bad: Option<BadLine>,
    /// Whether there may be more to read.
    pub(super) has_more: bool,
    /// The file's length, if the file ends before the read position.
    pub(super) shorter: Option<u64>,
}

/// The line that says how a worker ended.
#[derive(Debug)]
pub(super) struct End {
    pub(super) finished: Finished,
    /// The byte positions where the line begins (`from`) and ends (`to`).
    pub(super) from: u64,
    pub(super) to: u64,
}

/// A line that is not a valid event. The job's next worker truncates the file before it.
#[derive(Debug, thiserror::Error)]
#[error("byte {at} of events.jsonl does not start a valid event: {source}")]
pub(super) struct BadLine {
    at: u64,
    source: serde_json::Error,
}

/// Reads complete lines, starting at byte `from`, up to the line that says how a worker ended. Leaves an incomplete
/// last line for the next call.
pub(super) fn read(path: &Path, from: u64) -> io::Result<EventBatch> {
    let mut batch = EventBatch {
        from,
        to: from,
        events: Vec::new(),
        finished: None,
        bad: None,
        has_more: false,
        shorter: None,
    };
    let length = match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        metadata => metadata?.len(),
    };
    if length < from {
        batch.shorter = Some(length);
        return Ok(batch);
    }
    let bytes = read_from(path, from)?;
    batch.has_more = bytes.len() as u64 == CHUNK_BYTES;
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        if line.last() != Some(&b'\n') {
            break;
        }
        let event: Event = match serde_json::from_slice(line) {
            Ok(event) => event,
            Err(source) => {
                batch.bad = Some(BadLine { at: batch.to, source });
                break;
            }
        };
        let to = batch.to + line.len() as u64;
        if let Body::Finished(finished) = event.body {
            batch.finished = Some(End { finished, from: batch.to, to });
            break;
        }
        batch.events.push(event);
        batch.to = to;
    }
    Ok(batch)
}

fn read_from(path: &Path, from: u64) -> io::Result<Vec<u8>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        file => file?,
    };
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(CHUNK_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Stores the events of a batch. Returns whether there were any.
pub(super) async fn store(db: &store::Db, id: JobId, batch: &EventBatch) -> anyhow::Result<bool> {
    if batch.events.is_empty() {
        return Ok(false);
    }
    let mut tx = store::begin(db).await?;
    advance(&mut tx, id, batch.from, batch.to).await?;
    for event in &batch.events {
        store_event(&mut tx, id, event).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// Advances the read position of the job's events.
pub(super) async fn advance(
    db: &mut store::Connection,
    id: JobId,
    from: u64,
    to: u64,
) -> anyhow::Result<()> {
    let advanced =
        store::jobs::advance_events(db, id, from.cast_signed(), to.cast_signed()).await?;
    ensure!(advanced, "another task read the events of job {id} at the same time");
    Ok(())
}

async fn store_event(db: &mut store::Connection, id: JobId, event: &Event) -> anyhow::Result<()> {
    let mut body = serde_json::to_value(&event.body)?;
    if let Value::Object(fields) = &mut body {
        fields.remove("type"); // The stream's `event` field holds the type.
        fields.entry("time").or_insert_with(|| json!(event.time));
    }
    let (kind, epoch) = match &event.body {
        Body::Started(started) => {
            let progress = JobProgress {
                epoch: started.resumed_at_epoch,
                epochs: started.epochs,
                step: started.resumed_at_step,
                steps: started.steps,
                ..JobProgress::default()
            };
            store::jobs::set_progress(&mut *db, id, progress).await?;
            ("started", None)
        }
        Body::Step(step) => {
            store::jobs::set_progress(&mut *db, id, progress(step)).await?;
            ("step", Some(step.epoch))
        }
        Body::Measured(measured) => {
            let &Measured { pictures: step, total: steps, images_per_s, eta_s } = measured;
            let (images_per_s, eta_s) = (Some(images_per_s), Some(eta_s));
            let progress =
                JobProgress { step, steps, images_per_s, eta_s, ..JobProgress::default() };
            store::jobs::set_progress(&mut *db, id, progress).await?;
            return Ok(()); // The job's progress is enough; no history is kept.
        }
        Body::Epoch(row) => {
            store::epochs::put(&mut *db, id, row).await?;
            store::events::forget_steps(&mut *db, id, row.epoch).await?;
            if row.epoch == 0 {
                store::jobs::set_baseline(&mut *db, id, &row.val).await?;
            }
            if row.is_best {
                let best = BestEpoch { epoch: row.epoch, metrics: row.val };
                store::jobs::set_best(&mut *db, id, best).await?;
            }
            body = json!({}); // The row is already stored.
            ("epoch", Some(row.epoch))
        }
        Body::Sample(samples) => ("sample", Some(samples.epoch)),
        Body::Artifacts(written) => {
            for artifact in &written.artifacts {
                store::artifacts::put(&mut *db, id, artifact).await?;
            }
            return Ok(()); // Clients see them in the list of artifacts.
        }
        // Imports are not jobs, and `read` never puts the end in a batch.
        Body::Importing(_) | Body::Finished(_) => return Ok(()),
    };
    store::events::insert(db, id, NewEvent { kind, epoch, body: &body }).await?;
    Ok(())
}

fn progress(step: &Step) -> JobProgress {
    JobProgress {
        epoch: step.epoch,
        epochs: step.epochs,
        step: step.step,
        steps: step.steps,
        images_per_s: Some(step.images_per_s),
        eta_s: Some(step.eta_s),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::events::{Outcome, Started};
    use crate::protocol::metrics::{MetricsRow, ValMetrics};
    use crate::store::tests::empty;
    use std::io::Write;

    fn line(seq: u64, body: Body) -> Vec<u8> {
        let event = Event { seq, time: "2026-01-01T00:00:00.000Z".to_owned(), body };
        let mut line = serde_json::to_vec(&event).unwrap();
        line.push(b'\n');
        line
    }

    fn row(epoch: u32) -> Body {
        Body::Epoch(Box::new(MetricsRow {
            epoch,
            step: 0,
            time: String::new(),
            lr: 0.0,
            images_per_s: 0.0,
            seconds: 0.0,
            is_best: epoch == 1,
            train: None,
            diagnostics: None,
            val: ValMetrics::default(),
        }))
    }

    fn started() -> Body {
        Body::Started(Started {
            device: "cpu".to_owned(),
            resumed_at_epoch: 0,
            resumed_at_step: 0,
            epochs: 2,
            steps: 9,
            views_per_step: None,
        })
    }

    fn finished() -> Body {
        Body::Finished(Finished::without_result(Outcome::Completed))
    }

    async fn queue(db: &store::Db) -> JobId {
        let (id, dataset_id) = (JobId::new(), store::ids::DatasetId::new());
        store::datasets::insert(db, dataset_id, "faces", &crate::data::LabelOptions::default())
            .await
            .unwrap();
        let new = store::jobs::NewJob {
            id,
            kind: store::job_kind::JobKind::Train,
            name: "job",
            dataset_id: Some(dataset_id),
            params: &json!({}),
            wanted_device: "cpu",
            priority: 0,
            not_before: None,
            time_limit_s: None,
            extends_epochs: None,
        };
        store::jobs::insert(db, new).await.unwrap();
        id
    }

    #[tokio::test]
    async fn a_file_read_byte_by_byte_is_stored_once_and_in_order() {
        let (folder, db) = empty().await;
        let id = queue(&db).await;
        let path = folder.path().join("events.jsonl");
        let text = [line(1, started()), line(2, row(0)), line(3, row(1)), line(4, finished())];
        let mut file = File::create(&path).unwrap();
        let mut from = 0;
        let mut end = None;
        for byte in text.concat() {
            file.write_all(&[byte]).unwrap();
            let batch = read(&path, from).unwrap();
            store(&db, id, &batch).await.unwrap();
            from = batch.to;
            end = batch.finished;
        }
        let events = store::events::after(&db, id, 0, 100).await.unwrap();
        let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
        assert_eq!(kinds, ["started", "epoch", "epoch"]);
        assert_eq!(store::epochs::of_job(&db, id).await.unwrap().len(), 2);
        let job = store::jobs::find(&db, id).await.unwrap().unwrap();
        assert_eq!(job.best.unwrap().epoch, 1);
        let end = end.unwrap();
        assert_eq!((end.finished.outcome, end.from), (Outcome::Completed, from));
    }

    #[tokio::test]
    async fn events_are_not_stored_twice() {
        let (folder, db) = empty().await;
        let id = queue(&db).await;
        let path = folder.path().join("events.jsonl");
        std::fs::write(&path, line(1, started())).unwrap();
        let batch = read(&path, 0).unwrap();
        assert!(store(&db, id, &batch).await.unwrap());
        store(&db, id, &batch).await.unwrap_err();
        assert_eq!(store::events::after(&db, id, 0, 100).await.unwrap().len(), 1);
    }

    #[test]
    fn a_truncated_file_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let first = line(1, started());
        std::fs::write(&path, &first).unwrap();
        let length = first.len() as u64;
        assert_eq!(read(&path, length).unwrap().shorter, None);
        assert_eq!(read(&path, length + 9).unwrap().shorter, Some(length));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read(&path, length).unwrap().shorter, Some(0));
    }

    #[test]
    fn a_line_that_is_not_an_event_is_reported_with_its_position() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let first = line(1, started());
        std::fs::write(&path, [first.as_slice(), b"nonsense\n"].concat()).unwrap();
        let batch = read(&path, 0).unwrap();
        assert_eq!(batch.events.len(), 1, "the events before it are kept");
        let text = batch.bad.unwrap().to_string();
        let expected = format!("byte {} of events.jsonl does not start a valid event", first.len());
        assert!(text.starts_with(&expected), "{text}");
    }
}
