//! Checks whether there is enough memory and disk space for a job to start.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

use tracing::warn;

use super::Jobs;
use crate::disk;
use crate::store::queue::DeviceSlot;

/// Disk space reserved for the database, so that it can store events when the disk is full.
const SPARE_BYTES: usize = 4 << 20;
/// Disk space for the files of one job: checkpoints, models, sample views, events and its log.
pub(super) const JOB_BYTES: u64 = 64 << 20;

impl Jobs {
    /// Returns why no job can start now on any device, or `None` if one can.
    pub(super) fn lacks(&self) -> Option<String> {
        let free_mib = free_memory_mib();
        let needed_mib = self.0.devices.min_free_memory_mib;
        if let Some(free_mib) = free_mib.filter(|&free_mib| free_mib < needed_mib) {
            return Some(format!(
                "{free_mib} MiB of memory is free, but a job needs {needed_mib} MiB to start"
            ));
        }
        self.lacks_room(JOB_BYTES)
    }

    /// Returns why this many bytes should not be written now, or `None` if they may be written.
    pub fn lacks_room(&self, bytes: u64) -> Option<String> {
        let bytes = bytes.saturating_add(self.0.reserved_bytes.load(Ordering::Relaxed));
        if bytes > self.may_take() {
            let (used, most) =
                (self.0.used_bytes.load(Ordering::Relaxed), self.0.storage.max_bytes);
            let (used, needed, most) = (used >> 20, bytes >> 20, most >> 20);
            return Some(format!(
                "the data folder holds {used} MB and needs {needed} MB more, but storage.max_bytes \
                 is {most} MB; delete some data sets or jobs"
            ));
        }
        let free = self.free_bytes().unwrap_or(u64::MAX);
        let reserve = self.0.storage.reserve_bytes;
        // If no reserve is configured, there is no need to check: a job that runs out of space reports it.
        let is_enough = reserve == 0 || free >= reserve.saturating_add(bytes);
        (!is_enough).then(|| {
            let (free, needed) = (free >> 20, (reserve + bytes) >> 20);
            format!("{free} MB is free on the data folder's disk, but {needed} MB is needed")
        })
    }

    /// Returns the number of bytes by which the data folder may grow.
    pub(super) fn may_take(&self) -> u64 {
        match self.0.storage.max_bytes {
            0 => u64::MAX,
            most => most.saturating_sub(self.0.used_bytes.load(Ordering::Relaxed)),
        }
    }

    /// Returns the number of free bytes on the data folder's disk.
    pub(super) fn free_bytes(&self) -> Option<u64> {
        let stat = rustix::fs::statvfs(self.0.folder.root()).ok()?;
        Some(stat.f_bavail * stat.f_frsize)
    }

    /// Reserves a little disk space, which [`Self::give_up_spare`] frees when the disk is full.
    pub(super) fn keep_spare(&self) {
        let path = self.0.folder.spare();
        let has_room = self.free_bytes().is_some_and(|free| free > 4 * SPARE_BYTES as u64);
        if !path.exists() && has_room {
            // Avoid zeros: some file systems store them without using disk space.
            let bytes: Vec<u8> = (0..SPARE_BYTES).map(|at| (at % 251) as u8).collect();
            if let Err(error) = disk::write(&path, &bytes) {
                warn!("cannot reserve disk space for the database: {error}");
            }
        }
    }

    /// Frees the reserved space. Returns whether there was any.
    pub(super) fn give_up_spare(&self) -> io::Result<bool> {
        let path = self.0.folder.spare();
        let was_there = path.exists();
        disk::remove_file(&path)?;
        Ok(was_there)
    }

    /// Returns, for each device that is free but cannot start a waiting job, the reason.
    pub fn waiting(&self) -> BTreeMap<String, String> {
        self.waits().clone()
    }

    pub(super) fn set_waiting(&self, slot: &DeviceSlot, why: Option<String>) {
        match why {
            Some(why) => self.waits().insert(slot.device.clone(), why),
            None => self.waits().remove(&slot.device),
        };
    }

    fn waits(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the free memory of this machine or container in MiB, or `None` if the system does not report it.
fn free_memory_mib() -> Option<u64> {
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| available_mib(&text));
    let limit = number("/sys/fs/cgroup/memory.max");
    let used = number("/sys/fs/cgroup/memory.current");
    // The system frees the page cache when it needs memory.
    let stat = fs::read_to_string("/sys/fs/cgroup/memory.stat").unwrap_or_default();
    let cache = stat.lines().find_map(|line| line.strip_prefix("inactive_file "));
    let cache: u64 = cache.and_then(|cache| cache.parse().ok()).unwrap_or(0);
    let free = |(limit, used): (u64, u64)| limit.saturating_sub(used.saturating_sub(cache)) >> 20;
    let container = limit.zip(used).map(free);
    machine.into_iter().chain(container).min()
}

fn available_mib(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib >> 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_memory_is_read_from_the_system() {
        let text = "MemTotal:       24576000 kB\nMemAvailable:    2048000 kB\n";
        assert_eq!(available_mib(text), Some(2000));
        assert_eq!(available_mib("MemTotal: 1 kB\n"), None);
        assert!(free_memory_mib().is_some_and(|free| free > 0));
    }
}
