//! From the queue to devices.

use std::time::Duration;

use tracing::{error, info};

use super::Jobs;
use super::changes::{Change, record};
use crate::store;
use crate::store::ids::JobId;
use crate::store::jobs::{JobState, Slot};

/// The queue is looked at this often, even when nobody says that it has changed.
const LOOK_EVERY: Duration = Duration::from_secs(10);

impl Jobs {
    /// Sees jobs through that had a device when the last server ended.
    pub(super) async fn recover(&self) -> store::Result<()> {
        for id in store::jobs::active(&self.0.db).await? {
            info!(job.id = %id, "picking up job {id}");
            self.sync_control(id).await?;
            self.0.tasks.spawn(self.clone().supervise(id));
        }
        Ok(())
    }

    /// Gives jobs to devices until told to stop.
    pub(super) async fn schedule(self) {
        loop {
            if let Err(error) = self.claim_all().await {
                error!("cannot look at the queue: {error}");
            }
            tokio::select! {
                () = self.0.queued.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = self.0.stop.cancelled() => return,
            }
        }
    }

    async fn claim_all(&self) -> store::Result<()> {
        for slot in &self.0.slots {
            while let Some(id) = self.claim(slot).await? {
                info!(job.id = %id, "job {id} starts on {}", slot.device);
                self.tell();
                self.0.tasks.spawn(self.clone().supervise(id));
            }
        }
        Ok(())
    }

    async fn claim(&self, slot: &Slot) -> store::Result<Option<JobId>> {
        let mut tx = store::begin(&self.0.db).await?;
        let Some(id) = store::jobs::claim_next(&mut *tx, slot).await? else { return Ok(None) };
        let (from, to) = (JobState::Queued, JobState::Running);
        let reason = format!("{} has room", slot.device);
        let change = Change { from, to, reason: &reason, error: None };
        record(&mut tx, id, Some(from), change).await?;
        tx.commit().await?;
        Ok(Some(id))
    }

    /// The queue may have something to do.
    pub(super) fn wake_scheduler(&self) {
        self.0.queued.notify_one();
    }
}
