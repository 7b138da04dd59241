//! Worker processes: starting one, knowing whether it lives, ending it.
//!
//! A worker inherits `worker.lock` of its job's folder, locked, as its standard input. The system
//! drops the lock when the process is gone, however it went, so whether a job has a worker can
//! be seen from any server at any time, without trusting process ids that may be used again.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::fs::FlockOperation;
use rustix::fs::flock;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group, setpriority_process};
use tracing::debug;

use crate::protocol::cause::Cause;

/// What to run as a worker; the job's folder is added as the last argument.
#[derive(Debug, Clone)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// Arguments before the folder.
    pub args: Vec<OsString>,
}

/// A worker, alive when last seen.
#[derive(Debug)]
pub(super) struct Worker {
    dir: PathBuf,
    pid: Option<i64>,
    started: Option<i64>,
    /// None for one that an earlier server started.
    child: Option<Child>,
    /// Processes that the system had killed for memory when this one began.
    memory_kills: Option<u64>,
}

/// How a worker went.
#[derive(Debug, Clone, Copy)]
pub(super) enum Exit {
    /// As its parent, we were told.
    Status(ExitStatus),
    /// The system killed it, for memory.
    Memory,
    /// An earlier server was its parent.
    Unseen,
}

/// Workers go first when the system is out of memory: they can be started again at no loss.
const OOM_SCORE: &str = "500";
const LOCK: &str = "worker.lock";
/// Makes glibc ask for memory in pages of 2 MB: a step goes through tens of megabytes, and looks up a twelfth of its
/// time where the small pages are.
const ALLOCATOR: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1");
/// Keeps NVIDIA's libraries from rounding factors to ten bits, as cuDNN would by default: at 20,000 views a second the
/// arithmetic is a fifteenth of what an H200 does in full, and a job's results are to be those of a CPU.
const FULL_PRECISION: (&str, &str) = ("NVIDIA_TF32_OVERRIDE", "0");
/// Standard output and error of the worker.
pub(super) const OUTPUT: &str = "worker.log";

impl Worker {
    /// Starts one on the job in `dir`; none when one is at work there already.
    ///
    /// * `nice`: how much others go before it, 0 to 19.
    pub(super) fn start(program: &Program, dir: &Path, nice: u8) -> io::Result<Option<Self>> {
        let Some(lock) = lock(dir)? else { return Ok(None) };
        let memory_kills = memory_kills();
        let output = OpenOptions::new().create(true).append(true).open(dir.join(OUTPUT))?;
        let child = Command::new(&program.path)
            .args(&program.args)
            .arg(dir)
            .envs([ALLOCATOR, FULL_PRECISION])
            .stdin(Stdio::from(lock))
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0) // Ctrl-C in the server's terminal is not for the worker.
            .spawn()?;
        let pid = i64::from(child.id());
        if nice > 0
            && let Err(error) = setpriority_process(as_pid(pid), nice.into())
        {
            debug!("cannot make worker {pid} nice: {error}");
        }
        if let Err(error) = fs::write(format!("/proc/{pid}/oom_score_adj"), OOM_SCORE) {
            debug!("cannot let worker {pid} go first when memory is short: {error}");
        }
        let (dir, started) = (dir.to_owned(), started_at(pid));
        Ok(Some(Self { dir, pid: Some(pid), started, child: Some(child), memory_kills }))
    }

    /// The one that an earlier server started in `dir`, if it is still at work.
    pub(super) fn adopt(
        dir: &Path,
        pid: Option<i64>,
        started: Option<i64>,
    ) -> io::Result<Option<Self>> {
        match lock(dir) {
            Ok(Some(_free)) => Ok(None),
            Ok(None) => {
                let (dir, memory_kills) = (dir.to_owned(), memory_kills());
                Ok(Some(Self { dir, pid, started, child: None, memory_kills }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether one is at work in `dir`.
    pub(super) fn is_in(dir: &Path) -> bool {
        matches!(lock(dir), Ok(None))
    }

    pub(super) fn pid(&self) -> Option<i64> {
        self.pid
    }

    pub(super) fn started(&self) -> Option<i64> {
        self.started
    }

    /// How it went; none while it is at work.
    pub(super) fn exit(&mut self) -> io::Result<Option<Exit>> {
        match &mut self.child {
            Some(child) => {
                let Some(status) = child.try_wait()? else { return Ok(None) };
                let kills = self.memory_kills.zip(memory_kills());
                let is_memory = status.signal() == Some(9) && kills.is_some_and(|(a, b)| b > a);
                Ok(Some(if is_memory { Exit::Memory } else { Exit::Status(status) }))
            }
            // Its folder may be gone, and its lock with that.
            None => match lock(&self.dir) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(Exit::Unseen)),
                lock => Ok(lock?.map(|_| Exit::Unseen)),
            },
        }
    }

    /// Ends it and its children at once.
    pub(super) fn kill(&self) {
        let Some(pid) = self.pid else { return };
        // The id may be another process's by now.
        if self.started.is_none() || started_at(pid) != self.started {
            return;
        }
        if let Some(group) = as_pid(pid)
            && let Err(error) = kill_process_group(group, Signal::KILL)
        {
            debug!("cannot kill worker {pid}: {error}");
        }
    }
}

/// None when a worker holds it.
fn lock(dir: &Path) -> io::Result<Option<File>> {
    let path = dir.join(LOCK);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn as_pid(pid: i64) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

/// When a process began, in clock ticks since boot: field 22 of `/proc/<pid>/stat`.
fn started_at(pid: i64) -> Option<i64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?; // A name may hold anything.
    after_name.split_whitespace().nth(19)?.parse().ok()
}

/// How many processes of ours the system has killed for want of memory; of the whole machine where there is
/// no telling.
fn memory_kills() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let events = fs::read_to_string(format!("/sys/fs/cgroup{group}/memory.events"));
    let text = events.or_else(|_| fs::read_to_string("/proc/vmstat")).ok()?;
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "))?;
    count.trim().parse().ok()
}

impl Exit {
    /// What kind of failure it is to end like this, without a report.
    pub(super) fn cause(self) -> Cause {
        match self {
            Self::Memory => Cause::OutOfMemory,
            Self::Unseen => Cause::Killed,
            Self::Status(status) => match (status.signal(), status.code()) {
                (Some(9), _) => Cause::Killed,
                (Some(_), _) => Cause::Crashed,
                (None, code) => Cause::of_exit_code(code.unwrap_or_default()),
            },
        }
    }

    /// The end of a sentence that begins with "the worker".
    pub(super) fn describe(self) -> String {
        let status = match self {
            Self::Status(status) => status,
            Self::Memory => {
                return "was killed by the system, which had run out of memory; try a smaller \
                        batch_size, or fewer jobs at once"
                    .to_owned();
            }
            Self::Unseen => {
                return "ended while no server was watching, without a report".to_owned();
            }
        };
        match (status.signal(), status.code()) {
            (Some(9), _) => {
                "was killed (signal 9); when nobody did that, the system may have run out of \
                             memory, so try a smaller batch_size"
                    .to_owned()
            }
            (Some(signal), _) => format!("crashed (signal {signal})"),
            (None, Some(0)) => "ended without a report".to_owned(),
            (None, code) => match self.cause() {
                Cause::DiskFull => "found no room on the disk, not even to say so".to_owned(),
                Cause::DiskError => {
                    "cannot write to the job's folder, not even to say so".to_owned()
                }
                _ => format!("ended with exit code {}", code.unwrap_or_default()),
            },
        }
    }
}

/// The last line that the worker in `dir` printed.
pub(super) fn last_words(dir: &Path) -> Option<String> {
    const LONGEST: usize = 400;
    let output = fs::read(dir.join(OUTPUT)).ok()?;
    let output = String::from_utf8_lossy(&output);
    let line = output.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().take(LONGEST).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        Program { path: "/bin/sh".into(), args: vec!["-c".into(), script.into(), "worker".into()] }
    }

    fn wait(worker: &mut Worker) -> Exit {
        for _ in 0..1000 {
            if let Some(exit) = worker.exit().unwrap() {
                return exit;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("the worker does not end");
    }

    #[test]
    fn a_folder_has_one_worker_at_a_time_and_any_server_can_see_it() {
        let dir = tempfile::tempdir().unwrap();
        let program = shell("sleep 100");
        let mut worker = Worker::start(&program, dir.path(), 5).unwrap().unwrap();
        assert!(Worker::start(&program, dir.path(), 5).unwrap().is_none());
        let mut adopted =
            Worker::adopt(dir.path(), worker.pid(), worker.started()).unwrap().unwrap();
        assert!(adopted.exit().unwrap().is_none());

        adopted.kill();
        assert!(wait(&mut worker).describe().contains("signal 9"));
        assert!(matches!(wait(&mut adopted), Exit::Unseen));
        assert!(Worker::adopt(dir.path(), None, None).unwrap().is_none());
    }

    #[test]
    fn a_process_id_that_another_process_has_now_is_not_killed() {
        let dir = tempfile::tempdir().unwrap();
        let mut worker = Worker::start(&shell("sleep 100"), dir.path(), 0).unwrap().unwrap();
        let started = worker.started().map(|ticks| ticks - 1);
        let (dir, pid) = (dir.path().to_owned(), worker.pid());
        Worker { dir, pid, started, child: None, memory_kills: None }.kill();
        assert!(worker.exit().unwrap().is_none());
        worker.kill();
        wait(&mut worker);
    }

    #[test]
    fn exits_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let describe = |script: &str| {
            let mut worker = Worker::start(&shell(script), dir.path(), 0).unwrap().unwrap();
            wait(&mut worker).describe()
        };
        assert_eq!(describe("exit 0"), "ended without a report");
        assert_eq!(describe("exit 28"), "found no room on the disk, not even to say so");
        assert_eq!(describe("exit 5"), "cannot write to the job's folder, not even to say so");
        assert_eq!(describe("echo no memory >&2; exit 3"), "ended with exit code 3");
        assert_eq!(describe("kill -SEGV $$"), "crashed (signal 11)");
        assert_eq!(last_words(dir.path()).unwrap(), "no memory");
    }
}
