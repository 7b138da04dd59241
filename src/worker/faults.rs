//! Faults that tests inject: a file in the job's folder names the points at which a worker should die, hang or meet a
//! full disk. No server writes it; without it, nothing here does anything.
//!
//! `faults.json`: `[{"at": "step", "number": 7, "do": "kill"}, …]`. Each fires once over all workers of the job: it is
//! removed from the file before it fires.

use std::io;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};

use super::panics;
use crate::disk;
use crate::protocol::control::Command;
use crate::protocol::folder::JobDir;

/// Where a fault can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// After this many optimizer steps of the job.
    Step,
    /// After the checkpoint at this many optimizer steps was saved.
    Saved,
    /// Before the row of this epoch is reported; its checkpoint is saved.
    Row,
    /// After the artifacts were written, before the end is reported.
    End,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The worker dies at once, as if killed.
    Kill,
    /// It stands still, as if its device hung.
    Hang,
    /// It waits for a command other than `run`, which it obeys the next time it looks.
    Wait,
    /// Its next write finds the disk full.
    DiskFull,
    /// Its next write meets a broken disk.
    DiskBroken,
    /// libtorch finds the GPU's memory full.
    CudaMemory,
    /// libtorch loses the GPU.
    DeviceLost,
    /// It panics, as with a bug of ours.
    Panic,
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedFault {
    /// Where.
    pub at: Point,
    /// The number of the step or epoch; ignored for [`Point::End`].
    #[serde(default)]
    pub number: u64,
    /// What.
    #[serde(rename = "do")]
    pub fault: Fault,
}

/// The planned faults that have not fired.
#[derive(Debug)]
pub struct Faults {
    dir: JobDir,
    planned: Vec<PlannedFault>,
}

impl Faults {
    /// The faults of a job; none without a readable file.
    pub fn of(dir: &JobDir) -> Self {
        let planned = std::fs::read(dir.faults_file()).ok();
        let planned = planned.and_then(|text| serde_json::from_slice(&text).ok());
        Self { dir: dir.clone(), planned: planned.unwrap_or_default() }
    }

    /// Whether there is one after this many steps.
    pub fn has_step(&self, step: u64) -> bool {
        self.planned.iter().any(|planned| planned.at == Point::Step && planned.number == step)
    }

    /// Fires the fault that is planned for this point.
    ///
    /// # Errors
    ///
    /// Those of a full or broken disk, if that is planned here.
    ///
    /// # Panics
    ///
    /// Fails like libtorch or like a bug, if that is planned here.
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
    fn a_fault_happens_once_over_all_workers_of_a_job() {
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
