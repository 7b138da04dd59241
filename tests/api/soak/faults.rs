//! The faults, and how each is caused.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rand::RngExt;
use serde_json::{Value, json};
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use super::{Soak, jobs_in, start};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Kill,
    Freeze,
    KillServer,
    Truncate,
    FlipBit,
    TearLine,
    DeleteFolder,
    LockDatabase,
    FillDisk,
    Pause,
    Stop,
    Cancel,
}

/// Each fault, how often it is chosen relative to the others, and its name.
const FAULTS: [(Fault, u32, &str); 12] = [
    (Fault::Kill, 22, "worker killed"),
    (Fault::Freeze, 6, "worker stopped (SIGSTOP)"),
    (Fault::KillServer, 14, "server killed"),
    (Fault::Truncate, 12, "worker killed, last checkpoint truncated"),
    (Fault::FlipBit, 12, "worker killed, last checkpoint bit-flipped"),
    (Fault::TearLine, 10, "worker killed, events.jsonl torn"),
    (Fault::DeleteFolder, 4, "job's folder deleted"),
    (Fault::LockDatabase, 4, "database locked for 2 s"),
    (Fault::FillDisk, 6, "disk full for 2 s"),
    (Fault::Pause, 7, "paused"),
    (Fault::Stop, 2, "stopped early"),
    (Fault::Cancel, 1, "cancelled"),
];
const FOR_A_WHILE: Duration = Duration::from_secs(2);

/// Returns every worker process of the data folder, with its job's folder.
pub(super) fn workers(data: &Path) -> Vec<(u32, PathBuf)> {
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

/// Sends a signal. Returns whether the process still existed.
fn signal(pid: u32, how: &str) -> bool {
    let mut command = Command::new("kill");
    command.arg(how).arg(pid.to_string()).stderr(Stdio::null());
    command.status().unwrap().success()
}

impl Soak {
    /// Causes one random fault, if there is something to break.
    pub(super) async fn break_something(&mut self, list: &[Value]) {
        let mut draw = self.rng.random_range(0..FAULTS.iter().map(|fault| fault.1).sum());
        let mut faults = FAULTS.into_iter();
        let (fault, _, name) = faults
            .find(|(_, weight, _)| {
                let is_it = draw < *weight;
                draw = draw.saturating_sub(*weight);
                is_it
            })
            .unwrap();
        let is_done = match fault {
            Fault::KillServer => {
                drop(self.server.take()); // kill -9
                self.server = Some(start(&self.data));
                true
            }
            Fault::LockDatabase => self.lock_database().await,
            Fault::FillDisk => self.has_own_disk && self.fill_disk().await,
            Fault::Pause => self.tell_any(list, "pause").await,
            Fault::Stop => self.tell_any(list, "stop").await,
            Fault::Cancel => self.tell_any(list, "cancel").await,
            _ => {
                let running = workers(&self.data);
                match self.any(&running) {
                    Some((pid, dir)) => self.break_worker(fault, *pid, dir),
                    None => false,
                }
            }
        };
        if is_done {
            *self.faults.entry(name).or_default() += 1;
        }
    }

    async fn tell_any(&mut self, list: &[Value], verb: &str) -> bool {
        let running = jobs_in(list, &["running"]);
        let Some(job) = self.any(&running) else { return false };
        let answer = self.server().post(&format!("/jobs/{job}/{verb}"), &json!({})).await;
        answer["id"].is_string()
    }

    /// Breaks one worker. Returns whether that was possible: the worker may have ended in the meantime.
    fn break_worker(&mut self, fault: Fault, pid: u32, dir: &Path) -> bool {
        match fault {
            Fault::Freeze => signal(pid, "-STOP"),
            Fault::DeleteFolder => delete_folder(pid, dir),
            Fault::Kill => signal(pid, "-KILL"),
            _ => signal(pid, "-KILL") && self.damage(fault, dir),
        }
    }

    /// Damages a file of a job whose worker was just killed; the next worker finds it damaged.
    fn damage(&mut self, fault: Fault, dir: &Path) -> bool {
        if fault == Fault::TearLine {
            let file = std::fs::OpenOptions::new().append(true).open(dir.join("events.jsonl"));
            return file.is_ok_and(|mut file| file.write_all(b"{\"seq\":9,\"at\":\"20").is_ok());
        }
        let path = dir.join("checkpoints/last.safetensors");
        let Ok(mut bytes) = std::fs::read(&path) else { return false };
        if fault == Fault::Truncate {
            bytes.truncate(bytes.len() / 2);
        } else {
            let at = self.rng.random_range(0..bytes.len());
            bytes[at] ^= 1 << self.rng.random_range(0..8);
        }
        // Overwrites the file in place, the way a failing disk corrupts it. Spares a job without an older checkpoint.
        dir.join("checkpoints/previous.safetensors").exists()
            && std::fs::write(&path, bytes).is_ok()
    }

    /// Holds the database's write lock for a while, as another process might.
    async fn lock_database(&self) -> bool {
        let options = SqliteConnectOptions::new().filename(self.data.join("blazetune.sqlite"));
        let mut other = SqliteConnection::connect_with(&options).await.unwrap();
        if sqlx::query("begin immediate").execute(&mut other).await.is_err() {
            return false;
        }
        tokio::time::sleep(FOR_A_WHILE).await;
        other.close().await.unwrap();
        true
    }

    /// Shrinks the file system to what is on it, for a while.
    async fn fill_disk(&self) -> bool {
        let disk = rustix::fs::statvfs(&self.data).unwrap();
        let used = (disk.f_blocks - disk.f_bfree + 4) * disk.f_frsize;
        let resize = |bytes: u64| {
            let options = format!("remount,size={bytes}");
            let mut mount = Command::new("mount");
            mount
                .arg("-o")
                .arg(&options)
                .arg(std::env::temp_dir())
                .stderr(Stdio::null())
                .status()
                .unwrap()
                .success()
        };
        let is_full = resize(used); // Fails if something was written meanwhile.
        tokio::time::sleep(if is_full { FOR_A_WHILE } else { Duration::ZERO }).await;
        assert!(resize(disk.f_blocks * disk.f_frsize));
        is_full
    }
}

/// Freezes a worker and deletes its job's folder, unless the job is done, because no worker would run it again.
fn delete_folder(pid: u32, dir: &Path) -> bool {
    if !signal(pid, "-STOP") {
        return false;
    }
    let events = std::fs::read_to_string(dir.join("events.jsonl")).unwrap_or_default();
    let is_under_way = events.contains("\"started\"") && !events.contains("\"finished\"");
    let is_deleted = is_under_way && std::fs::remove_dir_all(dir).is_ok();
    signal(pid, "-CONT");
    is_deleted
}
