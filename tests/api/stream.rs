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
    /// One message of a stream; none for a message without an event, such as the first.
    pub(crate) fn parse(message: &str) -> Option<Self> {
        let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name));
        Some(Self {
            id: field("id:").map_or(0, |id| id.trim().parse().unwrap()),
            name: field("event:")?.trim().to_owned(),
            data: serde_json::from_str(field("data:")?).unwrap(),
        })
    }

    /// What it tells of: its kind, its epoch and its time.
    fn subject(&self) -> (String, Value, Value) {
        (self.name.clone(), self.data["epoch"].clone(), self.data["time"].clone())
    }
}

impl Program {
    /// Follows a job's stream from after `last`, until it ends or has had `most` events.
    ///
    /// A connection that breaks in the middle of an event leaves nothing of it, as in a browser.
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

/// The events that the worker wrote and clients are told of, in order.
fn written(data: &Path, job: &str) -> Vec<Event> {
    let path = data.join(job.trim_start_matches('/')).join("events.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let event = |line: &str| {
        let mut data: Value = serde_json::from_str(line).unwrap();
        if data["time"].is_null() {
            data["time"] = data["at"].take(); // Of a row, clients get the time at which it was measured.
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
async fn a_client_that_reconnects_to_killed_servers_gets_every_event_exactly_once() {
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

    // The server forgets the steps of an epoch that has ended, so a client that was away may miss some; it must not
    // be told any twice.
    let written = written(&data_dir, &job);
    let of_worker: Vec<Event> =
        told.iter().filter(|event| event.name != "state").cloned().collect();
    let subjects = |events: &[Event]| events.iter().map(Event::subject).collect::<Vec<_>>();
    assert_eq!(subjects(&without_steps(&of_worker)), subjects(&without_steps(&written)));
    let mut rest = subjects(&written).into_iter();
    for subject in subjects(&of_worker) {
        assert!(rest.any(|line| line == subject), "{subject:?} is told twice, or never happened");
    }

    // Of a job that has ended, some samples are kept.
    let replayed = server.follow(&job, 0, usize::MAX).await;
    let kept: BTreeSet<u64> = replayed.iter().map(|event| event.id).collect();
    let is_kept = |event: &&Event| event.name != "sample" || kept.contains(&event.id);
    let lasting: Vec<Event> = without_steps(&told).iter().filter(is_kept).cloned().collect();
    assert_eq!(lasting, replayed[..replayed.len() - 1]);
    assert_whole(&server, &job, EPOCHS).await;
}
