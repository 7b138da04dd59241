//! `make soak`: runs many small jobs on a real server, causes faults at random, and checks that nothing was lost.
//!
//! All jobs are the same, so all that complete every epoch must end with the same model, bit for bit.

mod examine;
mod faults;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand_pcg::Pcg32;
use serde_json::{Value, json};

use crate::common::can_mount;
use crate::process::{Program, serve};

/// The mean number of faults per job.
const FAULTS_A_JOB: f64 = 1.6;
/// The time limit of the whole run, per job.
const SECONDS_A_JOB: u64 = 30;
/// Enough for several faults to hit each job.
const EPOCHS: u32 = 12;
const SAY_EVERY: Duration = Duration::from_secs(30);
/// Set when the data folder is on a separate small disk.
const ON_SMALL_DISK: &str = "BLAZETUNE_SOAK_DISK";

fn start(data: &Path) -> Program {
    let mut command = serve(data);
    command.env("BLAZETUNE__DEVICES__CPU_SLOTS", "2");
    command.env("BLAZETUNE__JOBS__MAX_RESTARTS", "1000");
    command.env("BLAZETUNE__JOBS__HANG_TIMEOUT_S", "5");
    command.env("BLAZETUNE__JOBS__CHECKPOINT_EVERY_STEPS", "1");
    command.env("BLAZETUNE__LOG__FILTER", "error");
    Program::spawn(&mut command)
}

fn jobs_in<'a>(list: &'a [Value], states: &[&str]) -> Vec<&'a str> {
    let is_in = |job: &&Value| states.contains(&job["state"].as_str().unwrap());
    list.iter().filter(is_in).map(|job| job["id"].as_str().unwrap()).collect()
}

struct Soak {
    data: PathBuf,
    server: Option<Program>,
    rng: Pcg32,
    has_own_disk: bool,
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

    fn fault_count(&self) -> u32 {
        self.faults.values().sum()
    }

    /// Resumes the jobs that a user paused, but not those that the server paused.
    async fn resume_all(&self, list: &[Value]) {
        for job in list.iter().filter(|job| job["state"] == "paused" && job["hold"].is_null()) {
            let path = format!("/jobs/{}/resume", job["id"].as_str().unwrap());
            self.server().post(&path, &json!({})).await;
        }
    }
}

/// Runs this test again in a mount namespace, with its data on a file system that it can shrink. Returns whether that
/// was possible.
fn run_on_small_disk() -> bool {
    if !can_mount() {
        return false;
    }
    let disk = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs -o size=8g soak \"$TMPDIR\" && exec \"$@\"";
    command.args(["-rm", "sh", "-c", script, "sh"]).arg(std::env::current_exe().unwrap());
    command.args(["--ignored", "--nocapture", "--exact", "soak::soak"]);
    command.env("TMPDIR", disk.path()).env(ON_SMALL_DISK, "yes");
    assert!(command.status().unwrap().success(), "the soak test failed; its output is above");
    true
}

#[tokio::test]
#[ignore = "takes half an hour; run it with `make soak`"]
#[expect(clippy::print_stdout, reason = "`make soak` reports its progress")]
async fn soak() {
    let has_own_disk = std::env::var_os(ON_SMALL_DISK).is_some();
    if !has_own_disk && run_on_small_disk() {
        return;
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let count = number("BLAZETUNE_SOAK_JOBS").unwrap_or(200).min(200); // One page of the list.
    let seed = number("BLAZETUNE_SOAK_SEED").unwrap_or(1);
    let data = tempfile::tempdir().unwrap();
    let data_dir = data.path().canonicalize().unwrap();
    let server = Some(start(&data_dir));
    let (rng, faults) = (Pcg32::new(seed, 1), BTreeMap::new());
    let mut soak = Soak { data: data_dir, server, rng, has_own_disk, faults };
    let first = soak.server().start_job(EPOCHS).await;
    let template = soak.server().get(&first).await;
    for _ in 1..count {
        let body = json!({"kind": "train", "dataset_id": template["dataset_id"], "params": template["params"]});
        soak.server().post("/jobs", &body).await;
    }
    let (began, mut said) = (Instant::now(), Instant::now());
    loop {
        let list = soak.list().await;
        let ended = jobs_in(&list, &["completed", "cancelled", "failed"]).len() as u64;
        if ended == count {
            break;
        }
        if said.elapsed() >= SAY_EVERY {
            said = Instant::now();
            let states = examine::states(&list);
            println!(
                "{:5} s: {} faults, {states:?}",
                began.elapsed().as_secs(),
                soak.fault_count()
            );
        }
        assert!(
            began.elapsed().as_secs() < count * SECONDS_A_JOB,
            "the jobs take too long: {list:?}"
        );
        soak.resume_all(&list).await;
        // Spreads the faults over all jobs, including those that are running.
        let wanted = FAULTS_A_JOB * (ended + 2).min(count) as f64;
        if f64::from(soak.fault_count()) < wanted {
            soak.break_something(&list).await;
        }
        let wait = soak.rng.random_range(20..200);
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }
    let report = examine::examine(&soak).await;
    let (faults, seconds) = (soak.fault_count(), began.elapsed().as_secs());
    println!("seed {seed}: {count} jobs, {faults} faults in {seconds} s");
    for (fault, count) in &soak.faults {
        println!("  {count:4} {fault}");
    }
    println!("{report:#?}");
    assert_eq!(report.jobs(), count, "a job is missing");
    assert!(report.wrong().iter().all(|wrong| wrong.is_empty()), "something was lost");
    assert_eq!(report.results.len(), 1, "not all models are the same");
}
