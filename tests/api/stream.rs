//! A job's event stream, followed by a client that loses its connections.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::process::{Program, assert_whole};

/// An event of the stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) data: Value,
}

impl Event {
    /// Parses a message of the stream. Returns `None` for a message without an event, such as the first.
    pub(crate) fn parse(message: &str) -> Option<Self> {
        let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name));
        Some(Self {
            id: field("id:").map_or(0, |id| id.trim().parse().unwrap()),
            name: field("event:")?.trim().to_owned(),
            data: serde_json::from_str(field("data:")?).unwrap(),
        })
    }

    /// What identifies an event, apart from its number: its name, epoch and time.
    fn subject(&self) -> (String, Value, Value) {
        (self.name.clone(), self.data["epoch"].clone(), self.data["time"].clone())
    }
}

impl Program {
    /// Follows a job's stream after event `last`, until the stream ends or at least `most` events have arrived.
    ///
    /// If the connection breaks in the middle of an event, that event is dropped, as in a browser.
    pub(crate) async fn follow(&self, job: &str, last: u64, most: usize) -> Vec<Event> {
        let request = self.client.get(format!("{}{job}/events", self.base));
        let mut response = request.header("last-event-id", last).send().await.unwrap();
        let (mut text, mut events) = (String::new(), Vec::new());
        while let Ok(Some(chunk)) = response.chunk().await {
            text.push_str(std::str::from_utf8(&chunk).unwrap());
            while let Some(end) = text.find("\n\n") {
                events.extend(Event::parse(&text[..end]));
                text.drain(..end + 2);
            }
            if events.len() >= most {
                break;
            }
        }
        events
    }
}

/// The worker's events that clients get, in order.
fn written(data: &Path, job: &str) -> Vec<Event> {
    let path = data.join(job.trim_start_matches('/')).join("events.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let event = |line: &str| {
        let mut data: Value = serde_json::from_str(line).unwrap();
        if data["time"].is_null() {
            data["time"] = data["at"].take(); // Clients get `at` as `time`; a row has its own `time`.
        }
        let (id, name) = (data["seq"].as_u64().unwrap(), data["type"].as_str().unwrap().to_owned());
        Event { id, name, data }
    };
    let told = ["started", "step", "epoch", "sample"];
    text.lines().map(event).filter(|event| told.contains(&event.name.as_str())).collect()
}

fn without_steps(events: &[Event]) -> Vec<Event> {
    events.iter().filter(|event| event.name != "step").cloned().collect()
}

#[tokio::test]
async fn a_client_that_reconnects_after_server_crashes_gets_every_event_exactly_once() {
    const EPOCHS: u64 = 205;
    let data = tempfile::tempdir().unwrap();
    let data_dir = data.path().canonicalize().unwrap();
    let mut server = Program::start(&data_dir);
    let job = server.start_job(EPOCHS as u32).await;
    let mut told: Vec<Event> = Vec::new();
    for connection in 1..=4 {
        let last = told.last().map_or(0, |event| event.id);
        let is_last = connection == 4;
        let more = server.follow(&job, last, if is_last { usize::MAX } else { 110 }).await;
        assert!(more.iter().all(|event| event.name != "end") || is_last, "the job is too short");
        told.extend(more);
        if !is_last {
            drop(server); // kill -9
            server = Program::start(&data_dir);
        }
    }
    assert_eq!(told.pop().map(|event| event.name).as_deref(), Some("end"));
    assert!(told.len() > 400, "only {} events", told.len());
    let ids: Vec<u64> = told.iter().map(|event| event.id).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");

    // The server deletes the steps of a finished epoch, so a client that was away may miss some. It must not get any
    // twice.
    let written = written(&data_dir, &job);
    let of_worker: Vec<Event> =
        told.iter().filter(|event| event.name != "state").cloned().collect();
    let subjects = |events: &[Event]| events.iter().map(Event::subject).collect::<Vec<_>>();
    assert_eq!(subjects(&without_steps(&of_worker)), subjects(&without_steps(&written)));
    let mut rest = subjects(&written).into_iter();
    for subject in subjects(&of_worker) {
        assert!(rest.any(|line| line == subject), "{subject:?} was sent twice or never written");
    }

    // The server keeps only some samples of a finished job.
    let replayed = server.follow(&job, 0, usize::MAX).await;
    let kept: BTreeSet<u64> = replayed.iter().map(|event| event.id).collect();
    let is_kept = |event: &&Event| event.name != "sample" || kept.contains(&event.id);
    let lasting: Vec<Event> = without_steps(&told).iter().filter(is_kept).cloned().collect();
    assert_eq!(lasting, replayed[..replayed.len() - 1]);
    assert_whole(&server, &job, EPOCHS).await;
}
