//! Runs workers as processes on this machine.
//!
//! A worker inherits the locked file `worker.lock` of its job's folder as its standard input. The system releases the
//! lock when the process ends, however it ends. Any server can therefore tell at any time whether a job has a worker,
//! without trusting process IDs, which may be reused.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::fs::FlockOperation;
use rustix::fs::flock;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group, setpriority_process, setsid};
use tracing::debug;

use super::{Executor, Exit, OUTPUT, Ticket, Worker};
use crate::protocol::cause::Cause;

/// The program to run as a worker. The job's folder is its last argument.
#[derive(Debug, Clone)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// Arguments before the job's folder.
    pub args: Vec<OsString>,
}

/// An executor that runs workers as processes on this machine.
#[derive(Debug)]
pub(in crate::jobs) struct LocalProcesses {
    program: Program,
}

/// A worker process.
#[derive(Debug)]
struct Process {
    dir: PathBuf,
    ticket: Ticket,
    /// `None` if an earlier server started the worker.
    child: Option<Child>,
    /// The system's count of out-of-memory kills when this worker started.
    memory_kills: Option<u64>,
}

/// Makes the system kill workers first when it runs out of memory: a worker can be restarted without loss.
const OOM_SCORE: &str = "500";
const LOCK: &str = "worker.lock";
/// Makes glibc allocate memory in pages of 2 MB. A step touches tens of megabytes; with small pages, page lookups take
/// a twelfth of its time.
const ALLOCATOR: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1");
/// Keeps NVIDIA's libraries from rounding factors to ten bits, which is cuDNN's default, so that a job's results match
/// those of a CPU. The speed is not needed: 20,000 views per second use a fifteenth of an H200's computing power.
const FULL_PRECISION: (&str, &str) = ("NVIDIA_TF32_OVERRIDE", "0");

impl LocalProcesses {
    pub(in crate::jobs) fn new(program: Program) -> Self {
        Self { program }
    }

    fn spawn(&self, dir: &Path, lock: File) -> io::Result<Child> {
        let output = OpenOptions::new().create(true).append(true).open(dir.join(OUTPUT))?;
        let mut command = Command::new(&self.program.path);
        command
            .args(&self.program.args)
            .arg(dir)
            .envs([ALLOCATOR, FULL_PRECISION])
            .stdin(Stdio::from(lock))
            .stdout(output.try_clone()?)
            .stderr(output);
        in_its_own_session(&mut command);
        command.spawn()
    }
}

/// Gives the worker its own session, so that neither Ctrl-C in the server's terminal nor closing that terminal ends it.
fn in_its_own_session(command: &mut Command) {
    #[expect(unsafe_code, reason = "setsid is a single system call, safe between fork and exec")]
    unsafe {
        command.pre_exec(|| setsid().map(drop).map_err(io::Error::from));
    }
}

impl Executor for LocalProcesses {
    fn start(&self, dir: &Path, nice: u8) -> io::Result<Option<Box<dyn Worker>>> {
        let Some(lock) = lock(dir)? else { return Ok(None) };
        let memory_kills = memory_kills();
        let child = self.spawn(dir, lock)?;
        let pid = i64::from(child.id());
        if nice > 0
            && let Err(error) = setpriority_process(as_pid(pid), nice.into())
        {
            debug!("cannot lower the priority of worker {pid}: {error}");
        }
        if let Err(error) = fs::write(format!("/proc/{pid}/oom_score_adj"), OOM_SCORE) {
            debug!("cannot set oom_score_adj of worker {pid}: {error}");
        }
        let ticket = Ticket { pid: Some(pid), started: started_at(pid) };
        let (dir, child) = (dir.to_owned(), Some(child));
        Ok(Some(Box::new(Process { dir, ticket, child, memory_kills })))
    }

    fn find(&self, dir: &Path, ticket: Ticket) -> io::Result<Option<Box<dyn Worker>>> {
        match lock(dir) {
            Ok(Some(_free)) => Ok(None),
            Ok(None) => {
                let (dir, memory_kills) = (dir.to_owned(), memory_kills());
                Ok(Some(Box::new(Process { dir, ticket, child: None, memory_kills })))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn is_alive(&self, dir: &Path) -> bool {
        matches!(lock(dir), Ok(None))
    }
}

impl Worker for Process {
    fn ticket(&self) -> Ticket {
        self.ticket
    }

    fn poll(&mut self) -> io::Result<Option<Exit>> {
        match &mut self.child {
            Some(child) => {
                let Some(status) = child.try_wait()? else { return Ok(None) };
                let kills = self.memory_kills.zip(memory_kills());
                let is_memory = status.signal() == Some(9) && kills.is_some_and(|(a, b)| b > a);
                Ok(Some(if is_memory { out_of_memory() } else { exit(status) }))
            }
            // The folder may be gone, and the lock with it.
            None => match lock(&self.dir) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(unseen())),
                lock => Ok(lock?.map(|_| unseen())),
            },
        }
    }

    fn kill(&self) {
        let Ticket { pid: Some(pid), started } = self.ticket else { return };
        // The ID may belong to another process by now.
        if started.is_none() || started_at(pid) != started {
            return;
        }
        if let Some(group) = as_pid(pid)
            && let Err(error) = kill_process_group(group, Signal::KILL)
        {
            debug!("cannot kill worker {pid}: {error}");
        }
    }
}

fn out_of_memory() -> Exit {
    let how = "was killed because the system ran out of memory; try a smaller batch_size or fewer \
               jobs at once";
    Exit { cause: Cause::OutOfMemory, how: how.to_owned() }
}

/// The exit of a worker that an earlier server started.
fn unseen() -> Exit {
    let how = "ended without a report while no server was watching";
    Exit { cause: Cause::Killed, how: how.to_owned() }
}

fn exit(status: ExitStatus) -> Exit {
    let cause = match (status.signal(), status.code()) {
        (Some(9), _) => Cause::Killed,
        (Some(_), _) => Cause::Crashed,
        (None, code) => Cause::of_exit_code(code.unwrap_or_default()),
    };
    let how = match (status.signal(), status.code()) {
        (Some(9), _) => {
            "was killed (signal 9); if nobody killed it on purpose, the system may have run out of \
             memory, so try a smaller batch_size"
                .to_owned()
        }
        (Some(signal), _) => format!("crashed (signal {signal})"),
        (None, Some(0)) => "ended without a report".to_owned(),
        (None, code) => match cause {
            Cause::DiskFull => "had no disk space left, not even for a report".to_owned(),
            Cause::DiskError => "could not write to the job's folder, not even a report".to_owned(),
            _ => format!("ended with exit code {}", code.unwrap_or_default()),
        },
    };
    Exit { cause, how }
}

/// Takes the lock. Returns `None` if a worker holds it.
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

/// Returns when a process started, in clock ticks since boot: field 22 of `/proc/<pid>/stat`.
fn started_at(pid: i64) -> Option<i64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?; // The name may contain any character.
    after_name.split_whitespace().nth(19)?.parse().ok()
}

/// Returns how many processes the system has killed because memory ran out: those of our control group or, if the group
/// has no count, those of the whole machine.
fn memory_kills() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let events = fs::read_to_string(format!("/sys/fs/cgroup{group}/memory.events"));
    let text = events.or_else(|_| fs::read_to_string("/proc/vmstat")).ok()?;
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "))?;
    count.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        Program { path: "/bin/sh".into(), args: vec!["-c".into(), script.into(), "worker".into()] }
    }

    fn start(script: &str, dir: &Path) -> Option<Box<dyn Worker>> {
        LocalProcesses::new(shell(script)).start(dir, 5).unwrap()
    }

    fn wait(worker: &mut dyn Worker) -> Exit {
        for _ in 0..1000 {
            if let Some(exit) = worker.poll().unwrap() {
                return exit;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("the worker did not end");
    }

    #[test]
    fn a_folder_has_one_worker_at_a_time_and_any_server_can_see_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut worker = start("sleep 100", dir.path()).unwrap();
        assert!(start("sleep 100", dir.path()).is_none());
        let another = LocalProcesses::new(shell("exit"));
        assert!(another.is_alive(dir.path()));
        let mut found = another.find(dir.path(), worker.ticket()).unwrap().unwrap();
        assert!(found.poll().unwrap().is_none());

        found.kill();
        assert!(wait(&mut *worker).how.contains("signal 9"));
        assert!(wait(&mut *found).how.contains("no server was watching"));
        assert!(another.find(dir.path(), Ticket::default()).unwrap().is_none());
    }

    #[test]
    fn a_worker_leads_its_own_session() {
        let dir = tempfile::tempdir().unwrap();
        let mut worker = start("sleep 100", dir.path()).unwrap();
        let pid = as_pid(worker.ticket().pid.unwrap());
        assert_eq!(rustix::process::getsid(pid).ok(), pid);
        worker.kill();
        wait(&mut *worker);
    }

    #[test]
    fn a_process_that_reuses_the_id_of_a_worker_is_not_killed() {
        let dir = tempfile::tempdir().unwrap();
        let mut worker = start("sleep 100", dir.path()).unwrap();
        let Ticket { pid, started } = worker.ticket();
        let ticket = Ticket { pid, started: started.map(|ticks| ticks - 1) };
        Process { dir: dir.path().to_owned(), ticket, child: None, memory_kills: None }.kill();
        assert!(worker.poll().unwrap().is_none());
        worker.kill();
        wait(&mut *worker);
    }

    #[test]
    fn each_kind_of_exit_has_its_own_text() {
        let dir = tempfile::tempdir().unwrap();
        let how = |script: &str| wait(&mut *start(script, dir.path()).unwrap()).how;
        assert_eq!(how("exit 0"), "ended without a report");
        assert_eq!(how("exit 28"), "had no disk space left, not even for a report");
        assert_eq!(how("exit 5"), "could not write to the job's folder, not even a report");
        assert_eq!(how("echo no memory >&2; exit 3"), "ended with exit code 3");
        assert_eq!(how("kill -SEGV $$"), "crashed (signal 11)");
        assert_eq!(crate::jobs::executor::last_words(dir.path()).unwrap(), "no memory");
    }
}
