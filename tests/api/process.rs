//! The real server process: started, signalled and killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::support::archive;

/// A running `blazetune serve`.
pub(crate) struct Program {
    pub(crate) child: Child,
    pub(crate) base: String,
    pub(crate) client: reqwest::Client,
}

pub(crate) fn serve(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blazetune"));
    configure(&mut command, data);
    command
}

/// Sets short waits, one thread per worker, and no reserve of disk space or memory.
pub(crate) fn configure(command: &mut Command, data: &Path) {
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data);
    command.env("BLAZETUNE__JOBS__POLL_MS", "20").env("BLAZETUNE__JOBS__RESTART_DELAY_S", "0");
    command.env("BLAZETUNE__DEVICES__CPU_THREADS", "1");
    command.env("BLAZETUNE__DEVICES__MIN_FREE_MEMORY_MIB", "0");
    command.env("BLAZETUNE__STORAGE__RESERVE_BYTES", "0");
    command.current_dir(data).stdout(Stdio::piped());
}

impl Program {
    pub(crate) fn start(data: &Path) -> Self {
        Self::spawn(&mut serve(data))
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let base = line.trim().strip_prefix("listening on ").unwrap().to_owned() + "/api/v1";
        Self { child, base, client: reqwest::Client::new() }
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.base);
        self.client.get(url).send().await.unwrap().json().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.base);
        self.client.post(url).json(body).send().await.unwrap().json().await.unwrap()
    }

    pub(crate) async fn when(&self, path: &str, is_there: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for _ in 0..6_000 {
            last = self.get(path).await;
            if is_there(&last) {
                return last;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let history = self.get(&format!("{path}/transitions")).await;
        panic!("{path} never reached the expected state: it is {}, {history}", last["state"]);
    }

    /// Imports a small synthetic data set and starts a job of `epochs` on it. Returns the job's path.
    pub(crate) async fn start_job(&self, epochs: u32) -> String {
        let upload = self.client.post(format!("{}/datasets", self.base));
        let upload = upload.header("content-type", "application/zip").body(archive());
        let dataset: Value = upload.send().await.unwrap().json().await.unwrap();
        let path = format!("/datasets/{}", dataset["id"].as_str().unwrap());
        self.when(&path, |dataset| dataset["status"] == "ready").await;
        let params = json!({"epochs": epochs, "batch_size": 8, "device": "cpu"});
        let body = json!({"kind": "train", "dataset_id": dataset["id"], "params": params});
        format!("/jobs/{}", self.post("/jobs", &body).await["id"].as_str().unwrap())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The test may have ended the process already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn signal(pid: u32, signal: &str) {
    let status = Command::new("kill").arg(signal).arg(pid.to_string()).status().unwrap();
    assert!(status.success());
}

pub(crate) fn worker_of(data: &Path) -> Option<u32> {
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).into_owned();
        if command.contains("\0worker\0") && command.contains(data.to_str().unwrap()) {
            return Some(pid);
        }
    }
    None
}

/// Asserts that a job completes with every epoch, and that its event stream reports each exactly once. The metrics
/// alone would not show that: they have one row per epoch, however often it was stored.
pub(crate) async fn assert_whole(server: &Program, job: &str, epochs: u64) {
    let done =
        server.when(job, |job| job["state"] == "completed" || job["state"] == "failed").await;
    assert_eq!(done["state"], "completed", "{done}");
    let epoch = |row: &Value| row["epoch"].as_u64().unwrap();
    let expected: Vec<u64> = (0..=epochs).collect();
    let metrics = server.get(&format!("{job}/metrics")).await;
    let rows: Vec<u64> = metrics["items"].as_array().unwrap().iter().map(epoch).collect();
    assert_eq!(rows, expected);
    let events = server.follow(job, 0, usize::MAX).await;
    let events = events.iter().filter(|event| event.name == "epoch");
    let told: Vec<u64> = events.map(|event| epoch(&event.data)).collect();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_killed_worker_or_server_costs_at_most_the_current_epoch() {
    let data = tempfile::tempdir().unwrap();
    let data_dir = data.path().canonicalize().unwrap();
    let server = Program::start(&data_dir);
    let job = server.start_job(12).await;
    server.when(&job, |job| job["best"].is_object()).await;
    signal(worker_of(&data_dir).unwrap(), "-KILL");
    server.when(&job, |job| job["restarts"] == 1 && job["progress"]["step"] == 0).await;
    let before = server.get(&job).await;
    assert!(before["progress"]["epoch"].as_u64().unwrap() >= 1, "the job started over: {before}");

    let worker = worker_of(&data_dir);
    drop(server); // kill -9
    assert!(worker.is_some() && worker_of(&data_dir) == worker, "the worker keeps running");
    let server = Program::start(&data_dir);
    assert_whole(&server, &job, 12).await;
    assert_eq!(server.get(&job).await["restarts"], 1);
}

#[tokio::test]
async fn a_server_that_gets_sigterm_ends_its_streams_and_exits_cleanly() {
    let data = tempfile::tempdir().unwrap();
    let data_dir = data.path().canonicalize().unwrap();
    let mut server = Program::start(&data_dir);
    let job = server.start_job(500).await;
    server.when(&job, |job| job["progress"]["epoch"].as_u64() >= Some(1)).await;
    let stream = server.client.get(format!("{}{job}/events", server.base));
    let stream = stream.send().await.unwrap();
    signal(server.child.id(), "-TERM");
    let events = stream.text().await.unwrap();
    assert!(events.contains("event: epoch") && !events.contains("event: end"));
    assert!(server.child.wait().unwrap().success());

    let server = Program::start(&data_dir);
    server.post(&format!("{job}/cancel"), &json!({})).await;
    server.when(&job, |job| job["state"] == "cancelled").await;
    assert_eq!(worker_of(&data_dir), None);
}

#[tokio::test]
async fn a_frozen_worker_is_replaced_and_no_epoch_is_lost() {
    let data = tempfile::tempdir().unwrap();
    let data_dir = data.path().canonicalize().unwrap();
    let mut command = serve(&data_dir);
    command.env("BLAZETUNE__JOBS__HANG_TIMEOUT_S", "5");
    command.env("BLAZETUNE__JOBS__CHECKPOINT_EVERY_STEPS", "1");
    let server = Program::spawn(&mut command);
    let job = server.start_job(6).await;
    server.when(&job, |job| job["best"].is_object()).await;
    signal(worker_of(&data_dir).unwrap(), "-STOP");
    server.when(&job, |job| job["restarts"] == 1).await;
    assert_whole(&server, &job, 6).await;
    let history = server.get(&format!("{job}/transitions")).await;
    let restart = &history["items"][2];
    assert_eq!(restart["reason"], "started again: the worker gave no sign of life for 5 s");
}

#[tokio::test]
async fn a_second_server_on_the_same_folder_says_why_it_cannot_start() {
    let data = tempfile::tempdir().unwrap();
    let _first = Program::start(data.path());
    let second = serve(data.path()).stderr(Stdio::piped()).output().unwrap();
    assert!(!second.status.success());
    let text = String::from_utf8_lossy(&second.stderr);
    assert!(text.contains("another server is using the data folder"), "{text}");
}

#[tokio::test]
async fn an_unknown_setting_is_named_in_the_error() {
    let data = tempfile::tempdir().unwrap();
    let output = serve(data.path())
        .env("BLAZETUNE__SERVER__LISEN", "x")
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("lisen"), "{text}");
}
