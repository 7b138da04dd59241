//! `make soak`: many small jobs on a real server, broken at random, and then whether any was lost.
//!
//! All jobs are the same, so all that were not stopped have to end with the same model, to the bit.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::RngExt;
use rand_pcg::Pcg32;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::process::{Program, serve};

/// Faults for each job, and the most that all may take.
const FAULTS_A_JOB: f64 = 1.6;
const SECONDS_A_JOB: u64 = 30;

fn start(data: &Path) -> Program {
    let mut command = serve(data);
    command.env("BLAZETUNE__DEVICES__CPU_SLOTS", "2");
    command.env("BLAZETUNE__JOBS__MAX_RESTARTS", "1000");
    command.env("BLAZETUNE__JOBS__HANG_TIMEOUT_S", "5");
    command.env("BLAZETUNE__JOBS__CHECKPOINT_EVERY_STEPS", "1");
    command.env("BLAZETUNE__LOG__FILTER", "error");
    Program::spawn(&mut command)
}

/// Every worker of the data folder, with its job's folder.
fn workers(data: &Path) -> Vec<(u32, PathBuf)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).into_owned();
        let mut words = command.split('\0');
        let dir = words.by_ref().skip_while(|word| *word != "worker").nth(1);
        if let Some(dir) = dir.filter(|dir| dir.starts_with(data.to_str().unwrap())) {
            found.push((pid, PathBuf::from(dir)));
        }
    }
    found
}

fn jobs_in<'a>(list: &'a [Value], states: &[&str]) -> Vec<&'a str> {
    let is_in = |job: &&Value| states.contains(&job["state"].as_str().unwrap());
    list.iter().filter(is_in).map(|job| job["id"].as_str().unwrap()).collect()
}

struct Soak {
    data: PathBuf,
    server: Option<Program>,
    rng: Pcg32,
    faults: BTreeMap<&'static str, u32>,
}

impl Soak {
    fn server(&self) -> &Program {
        self.server.as_ref().unwrap()
    }

    async fn list(&self) -> Vec<Value> {
        let list = self.server().get("/jobs?limit=200").await;
        list["items"].as_array().unwrap().clone()
    }

    fn any<'a, T>(&mut self, some: &'a [T]) -> Option<&'a T> {
        (!some.is_empty()).then(|| &some[self.rng.random_range(0..some.len())])
    }

    /// One fault, if there is something to break.
    async fn break_something(&mut self) {
        let running = workers(&self.data);
        let list = self.list().await;
        let kind = self.rng.random_range(0..100);
        let name = match kind {
            0..30 => "worker killed",
            30..38 => "worker stopped (SIGSTOP)",
            38..52 => "server killed",
            52..66 => "worker killed, last checkpoint truncated",
            66..80 => "worker killed, last checkpoint bit-flipped",
            80..90 => "worker killed, events.jsonl torn",
            90..97 => "paused",
            97..99 => "stopped early",
            _ => "cancelled",
        };
        let done = match kind {
            38..52 => {
                drop(self.server.take()); // kill -9
                self.server = Some(start(&self.data));
                true
            }
            0..90 => match self.any(&running) {
                None => false,
                Some((pid, dir)) => {
                    let how = if (30..38).contains(&kind) { "-STOP" } else { "-KILL" };
                    // It may have ended by itself meanwhile.
                    let mut command = std::process::Command::new("kill");
                    command.arg(how).arg(pid.to_string()).stderr(std::process::Stdio::null());
                    let was_there = command.status().unwrap().success();
                    was_there && (kind < 52 || self.damage(dir, kind))
                }
            },
            _ => {
                let verb = match kind {
                    90..97 => "pause",
                    97..99 => "stop",
                    _ => "cancel",
                };
                match self.any(&jobs_in(&list, &["running"])) {
                    None => false,
                    Some(job) => {
                        let answer =
                            self.server().post(&format!("/jobs/{job}/{verb}"), &json!({})).await;
                        answer["id"].is_string()
                    }
                }
            }
        };
        if done {
            *self.faults.entry(name).or_default() += 1;
        }
    }

    /// Of a job whose worker was just killed: the next one has the same file, or finds it so.
    fn damage(&mut self, dir: &Path, kind: u32) -> bool {
        let path = if kind < 80 {
            dir.join("checkpoints/last.safetensors")
        } else {
            dir.join("events.jsonl")
        };
        let Ok(mut bytes) = std::fs::read(&path) else { return false };
        match kind {
            52..66 => bytes.truncate(bytes.len() / 2),
            66..80 => {
                let at = self.rng.random_range(0..bytes.len());
                bytes[at] ^= 1 << self.rng.random_range(0..8);
            }
            _ => {
                use std::io::Write;
                let file = std::fs::OpenOptions::new().append(true).open(&path);
                return file
                    .is_ok_and(|mut file| file.write_all(b"{\"seq\":9,\"at\":\"20").is_ok());
            }
        }
        // In place, as a disk does it; a job whose older checkpoint has to do already is spared.
        dir.join("checkpoints/previous.safetensors").exists()
            && std::fs::write(&path, bytes).is_ok()
    }

    async fn resume_all(&self, list: &[Value]) {
        for job in jobs_in(list, &["paused"]) {
            self.server().post(&format!("/jobs/{job}/resume"), &json!({})).await;
        }
    }
}

#[tokio::test]
#[ignore = "takes an hour; `make soak`"]
#[expect(clippy::print_stdout, reason = "what `make soak` is for")]
async fn soak() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let count = number("BLAZETUNE_SOAK_JOBS").unwrap_or(200);
    let seed = number("BLAZETUNE_SOAK_SEED").unwrap_or(1);
    let data = tempfile::tempdir().unwrap();
    let data_dir = data.path().canonicalize().unwrap();
    let server = Some(start(&data_dir));
    let mut soak =
        Soak { data: data_dir.clone(), server, rng: Pcg32::new(seed, 1), faults: BTreeMap::new() };
    let first = soak.server().start_job(2).await;
    let template = soak.server().get(&first).await;
    for _ in 1..count {
        let body = json!({"kind": "train", "dataset_id": template["dataset_id"], "params": template["params"]});
        soak.server().post("/jobs", &body).await;
    }
    let began = Instant::now();
    let wanted = (count as f64 * FAULTS_A_JOB) as u32;
    loop {
        let list = soak.list().await;
        if jobs_in(&list, &["completed", "cancelled", "failed"]).len() as u64 == count {
            break;
        }
        assert!(began.elapsed().as_secs() < count * SECONDS_A_JOB, "it takes too long");
        soak.resume_all(&list).await;
        if soak.faults.values().sum::<u32>() < wanted {
            soak.break_something().await;
        }
        let wait = soak.rng.random_range(50..500);
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }
    let report = examine(&soak).await;
    println!(
        "{count} jobs, {} faults in {} s",
        soak.faults.values().sum::<u32>(),
        began.elapsed().as_secs()
    );
    for (fault, count) in &soak.faults {
        println!("  {count:4} {fault}");
    }
    println!("{report:#?}");
    let Report { failed, wrong_rows, wrong_histories, wrong_files, orphans, results, .. } = &report;
    let wrong = [failed, wrong_rows, wrong_histories, wrong_files, orphans];
    assert!(wrong.iter().all(|wrong| wrong.is_empty()), "something was lost");
    assert_eq!(results.len(), 1, "not all results are the same");
}

/// What is left when all is over.
#[derive(Debug, Default)]
struct Report {
    states: BTreeMap<String, u32>,
    restarts: u64,
    failed: Vec<String>,
    wrong_rows: Vec<String>,
    wrong_histories: Vec<String>,
    wrong_files: Vec<String>,
    orphans: Vec<String>,
    /// Different `best.tflite` of jobs that did all their epochs.
    results: BTreeSet<String>,
}

async fn examine(soak: &Soak) -> Report {
    let mut report = Report::default();
    let list = soak.list().await;
    let mut ids = BTreeSet::new();
    for job in &list {
        let id = job["id"].as_str().unwrap();
        ids.insert(id.to_owned());
        let state = job["state"].as_str().unwrap();
        *report.states.entry(state.to_owned()).or_default() += 1;
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
    // What is being discarded may take a moment.
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

/// Whether each change begins where the one before has ended, and the last one is the state.
async fn examine_history(soak: &Soak, id: &str, state: &str, report: &mut Report) {
    let history = soak.server().get(&format!("/jobs/{id}/transitions")).await;
    let history = history["items"].as_array().unwrap();
    let is_chain = history.windows(2).all(|pair| pair[0]["to"] == pair[1]["from"]);
    if !is_chain || history.last().unwrap()["to"] != state {
        report.wrong_histories.push(format!("{id}: {history:?}"));
    }
}

/// Whether no row is missing, and each file is what the database says.
async fn examine_result(soak: &Soak, id: &str, report: &mut Report) {
    let metrics = soak.server().get(&format!("/jobs/{id}/metrics")).await;
    let epochs: Vec<u64> = metrics["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["epoch"].as_u64().unwrap())
        .collect();
    if epochs != (0..epochs.len() as u64).collect::<Vec<_>>() || epochs.len() > 3 {
        report.wrong_rows.push(format!("{id}: {epochs:?}"));
    }
    let dir = soak.data.join("jobs").join(id);
    let text = std::fs::read_to_string(dir.join("events.jsonl")).unwrap();
    let event = |line: &str| serde_json::from_str::<Value>(line).unwrap_or_default();
    let seqs: Vec<u64> =
        text.lines().map(|line| event(line)["seq"].as_u64().unwrap_or(0)).collect();
    if seqs != (1..=seqs.len() as u64).collect::<Vec<_>>() {
        report.wrong_rows.push(format!("{id}: the numbers of its events are {seqs:?}"));
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
        let was_stopped = text.contains("\"outcome\":\"stopped\"");
        if name == "best.tflite" && !was_stopped {
            report.results.insert(hash);
        }
    }
    if !artifacts.iter().any(|file| file["name"] == "best.tflite") {
        report.wrong_files.push(format!("{id} has no model"));
    }
}
