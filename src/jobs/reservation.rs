//! Reserves disk space for data that is still arriving, so that parallel uploads together leave `reserve_bytes` free.

use std::sync::atomic::Ordering;

use super::Jobs;

/// How much to reserve at a time if the length is unknown, in bytes.
const STEP_BYTES: u64 = 16 << 20;

/// Disk space that is reserved until it is used or this value is dropped.
#[derive(Debug)]
pub struct Reservation {
    jobs: Jobs,
    left: u64,
}

impl Jobs {
    /// Reserves disk space.
    ///
    /// # Errors
    ///
    /// A sentence for the user if there is not enough space.
    pub fn reserve(&self, bytes: u64) -> Result<Reservation, String> {
        let mut reservation = Reservation { jobs: self.clone(), left: 0 };
        reservation.extend(bytes)?;
        Ok(reservation)
    }
}

impl Reservation {
    /// Takes `bytes` out of the reservation, because they are about to be written. Reserves more if necessary.
    ///
    /// # Errors
    ///
    /// A sentence for the user if there is not enough space.
    pub fn spend(&mut self, bytes: u64) -> Result<(), String> {
        if bytes > self.left {
            self.extend((bytes - self.left).max(STEP_BYTES))?;
        }
        self.left -= bytes;
        if self.jobs.0.storage.max_bytes > 0 {
            self.jobs.0.used_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        self.jobs.0.reserved_bytes.fetch_sub(bytes, Ordering::Relaxed);
        Ok(())
    }

    fn extend(&mut self, bytes: u64) -> Result<(), String> {
        // Added before the check, so that at most one of two requests for the last bytes succeeds.
        self.jobs.0.reserved_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.left += bytes;
        match self.jobs.lacks_room(0) {
            None => Ok(()),
            Some(lack) => {
                self.left -= bytes;
                self.jobs.0.reserved_bytes.fetch_sub(bytes, Ordering::Relaxed);
                Err(lack)
            }
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.jobs.0.reserved_bytes.fetch_sub(self.left, Ordering::Relaxed);
        self.jobs.0.ended.notify_one(); // The cleanup measures the data folder again.
    }
}
