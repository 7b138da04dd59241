//! Fault injection for tests. A file in the job's folder lists the points at which the worker dies, hangs or fails.
//! The server never writes this file; without it, no fault fires.
//!
//! Example of `faults.json`: `[{"at": "step", "number": 7, "do": "kill"}, …]`. Each fault fires only once, even if the
//! job has several workers, because it is removed from the file before it fires.

use std::io;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};

use super::panics;
use crate::disk;
use crate::protocol::control::Command;
use crate::protocol::folder::JobDir;

/// A point at which a fault can fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// After this many optimizer steps of the job.
    Step,
    /// After the checkpoint at this many optimizer steps is saved.
    Saved,
    /// After this epoch's checkpoint is saved and before its row is reported.
    Row,
    /// After the artifacts are written and before the end is reported.
    End,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The worker dies at once, as if killed.
    Kill,
    /// The worker stops making progress, as if its device hung.
    Hang,
    /// The worker waits for a command other than `run`, and follows the command at its next check.
    Wait,
    /// The worker fails as if the disk were full.
    DiskFull,
    /// The worker fails as if the disk were broken.
    DiskBroken,
    /// The worker fails as if libtorch ran out of GPU memory.
    CudaMemory,
    /// The worker fails as if libtorch lost the GPU.
    DeviceLost,
    /// The worker panics, as if it had a bug.
    Panic,
}

/// A fault and the point at which it fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedFault {
    /// The point.
    pub at: Point,
    /// The number of the step or epoch; ignored for [`Point::End`].
    #[serde(default)]
    pub number: u64,
    /// The fault.
    #[serde(rename = "do")]
    pub fault: Fault,
}

/// The planned faults that have not fired yet.
#[derive(Debug)]
pub struct Faults {
    dir: JobDir,
    planned: Vec<PlannedFault>,
}

impl Faults {
    /// Reads a job's planned faults; there are none without a readable file.
    pub fn of(dir: &JobDir) -> Self {
        let planned = std::fs::read(dir.faults_file()).ok();
        let planned = planned.and_then(|text| serde_json::from_slice(&text).ok());
        Self { dir: dir.clone(), planned: planned.unwrap_or_default() }
    }

    /// Whether a fault is planned after this many steps.
    pub fn has_step(&self, step: u64) -> bool {
        self.planned.iter().any(|planned| planned.at == Point::Step && planned.number == step)
    }

    /// Fires the fault that is planned for this point, if there is one.
    ///
    /// # Errors
    ///
    /// The error of a full or broken disk, if such a fault fires.
    ///
    /// # Panics
    ///
    /// If the fault imitates a libtorch error or a bug.
    pub fn meet(&mut self, at: Point, number: u64) -> io::Result<()> {
        let is_here = |planned: &PlannedFault| {
            planned.at == at && (planned.number == number || at == Point::End)
        };
        let Some(place) = self.planned.iter().position(is_here) else { return Ok(()) };
        let fault = self.planned.remove(place).fault;
        disk::write(&self.dir.faults_file(), &serde_json::to_vec(&self.planned)?)?;
        match fault {
            Fault::Kill => {
                kill_process(getpid(), Signal::KILL)?;
                hang()
            }
            Fault::Hang => hang(),
            Fault::Wait => {
                while self.dir.wanted() == Command::Run {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Ok(())
            }
            Fault::DiskFull => Err(rustix::io::Errno::NOSPC.into()),
            Fault::DiskBroken => Err(rustix::io::Errno::IO.into()),
            Fault::CudaMemory => {
                panic!("{}", libtorch("CUDA out of memory. Tried to allocate 2.00 GiB"))
            }
            Fault::DeviceLost => panic!("{}", libtorch("CUDA error: unspecified launch failure")),
            Fault::Panic => panic!("a planned panic"),
        }
    }
}

fn libtorch(complaint: &str) -> String {
    panics::text_of_libtorch(&format!("{complaint}\nException raised from planned"))
}

fn hang() -> ! {
    loop {
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_fires_only_once_even_with_several_workers() {
        let folder = tempfile::tempdir().unwrap();
        let dir = JobDir::new(folder.path());
        let text =
            r#"[{"at": "step", "number": 7, "do": "disk_full"}, {"at": "end", "do": "kill"}]"#;
        std::fs::write(dir.faults_file(), text).unwrap();
        let mut faults = Faults::of(&dir);
        assert_eq!((faults.has_step(6), faults.has_step(7)), (false, true));
        faults.meet(Point::Step, 6).unwrap();
        let error = faults.meet(Point::Step, 7).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let mut next = Faults::of(&dir);
        next.meet(Point::Step, 7).unwrap();
        assert_eq!(next.planned.len(), 1);
    }
}
