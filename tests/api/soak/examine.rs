//! Checks that nothing is lost or left over when all jobs have ended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::faults::workers;
use super::{EPOCHS, Soak};

/// What the examination found.
#[derive(Debug, Default)]
pub(super) struct Report {
    states: BTreeMap<String, u32>,
    restarts: u64,
    failed: Vec<String>,
    wrong_rows: Vec<String>,
    wrong_histories: Vec<String>,
    wrong_files: Vec<String>,
    orphans: Vec<String>,
    /// The distinct hashes of `best.tflite`, over all jobs that were not stopped early.
    pub(super) results: BTreeSet<String>,
}

impl Report {
    pub(super) fn jobs(&self) -> u64 {
        self.states.values().map(|&jobs| u64::from(jobs)).sum()
    }

    pub(super) fn wrong(&self) -> [&Vec<String>; 5] {
        [&self.failed, &self.wrong_rows, &self.wrong_histories, &self.wrong_files, &self.orphans]
    }
}

/// Counts the jobs in each state.
pub(super) fn states(list: &[Value]) -> BTreeMap<String, u32> {
    let mut states = BTreeMap::new();
    for job in list {
        *states.entry(job["state"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    states
}

pub(super) async fn examine(soak: &Soak) -> Report {
    let mut report = Report::default();
    let list = soak.list().await;
    report.states = states(&list);
    let mut ids = BTreeSet::new();
    for job in &list {
        let id = job["id"].as_str().unwrap();
        ids.insert(id.to_owned());
        let state = job["state"].as_str().unwrap();
        report.restarts += job["restarts"].as_u64().unwrap();
        if state == "failed" {
            report.failed.push(format!("{id}: {}", job["error"]));
            continue;
        }
        examine_history(soak, id, state, &mut report).await;
        if state == "completed" {
            examine_result(soak, id, &mut report).await;
        }
    }
    // Deletions may take a moment.
    tokio::time::sleep(Duration::from_secs(1)).await;
    for entry in walkdir::WalkDir::new(&soak.data) {
        let path = entry.unwrap().into_path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let in_jobs = path.parent().is_some_and(|parent| parent.ends_with("jobs"));
        if name.starts_with(".tmp") && path != soak.data
            || name.ends_with(".deleted")
            || in_jobs && !ids.contains(&name)
        {
            report.orphans.push(path.display().to_string());
        }
    }
    report.orphans.extend(workers(&soak.data).iter().map(|(pid, _)| format!("worker {pid}")));
    report
}

/// Checks that each transition starts from the state that the previous one reached, and that the last reached `state`.
async fn examine_history(soak: &Soak, id: &str, state: &str, report: &mut Report) {
    let history = soak.server().get(&format!("/jobs/{id}/transitions")).await;
    let history = history["items"].as_array().unwrap();
    let is_chain = history.windows(2).all(|pair| pair[0]["to"] == pair[1]["from"]);
    if !is_chain || history.last().unwrap()["to"] != state {
        report.wrong_histories.push(format!("{id}: {history:?}"));
    }
}

/// Checks that no row or event is missing, and that each file has the checksum that the database records.
async fn examine_result(soak: &Soak, id: &str, report: &mut Report) {
    let dir = soak.data.join("jobs").join(id);
    let text = std::fs::read_to_string(dir.join("events.jsonl")).unwrap();
    let metrics = soak.server().get(&format!("/jobs/{id}/metrics")).await;
    let epochs: Vec<u64> = metrics["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["epoch"].as_u64().unwrap())
        .collect();
    let was_stopped = text.contains("\"outcome\":\"stopped\"");
    let expected = if was_stopped { epochs.len() as u64 } else { u64::from(EPOCHS) + 1 };
    if epochs != (0..expected).collect::<Vec<_>>() {
        report.wrong_rows.push(format!("{id}: {epochs:?}"));
    }
    let event = |line: &str| serde_json::from_str::<Value>(line).unwrap_or_default();
    let seqs: Vec<u64> =
        text.lines().map(|line| event(line)["seq"].as_u64().unwrap_or(0)).collect();
    if seqs != (1..=seqs.len() as u64).collect::<Vec<_>>() {
        report.wrong_rows.push(format!("{id}: its events are numbered {seqs:?}"));
    }
    let artifacts = soak.server().get(&format!("/jobs/{id}/artifacts")).await;
    let artifacts = artifacts["items"].as_array().unwrap();
    for file in artifacts {
        let name = file["name"].as_str().unwrap();
        let bytes = std::fs::read(dir.join("artifacts").join(name)).unwrap_or_default();
        let hash = hex::encode(Sha256::digest(&bytes));
        if file["sha256"] != hash.as_str() {
            report.wrong_files.push(format!("{id}: {name}"));
        }
        if name == "best.tflite" && !was_stopped {
            report.results.insert(hash);
        }
    }
    if !artifacts.iter().any(|file| file["name"] == "best.tflite") {
        report.wrong_files.push(format!("{id} has no model"));
    }
}
