//! Assigns queued jobs to devices.

use std::time::{Duration, Instant};

use tracing::{error, info};

use super::Jobs;
use super::changes::{Change, change, record};
use crate::store;
use crate::store::ids::JobId;
use crate::store::jobs::{JobState, StateNote};
use crate::store::queue::DeviceSlot;
use crate::store::transitions::Actor;

/// How often to check the queue even if nothing signals a change.
const LOOK_EVERY: Duration = Duration::from_secs(2);
impl Jobs {
    /// Resumes supervising the jobs that had a device when the last server ended.
    pub(super) async fn recover(&self) -> store::Result<()> {
        for id in store::queue::active(&self.0.db).await? {
            info!(job.id = %id, "picking up job {id}");
            self.sync_control(id).await?;
            self.0.tasks.spawn(self.clone().supervise(id));
        }
        Ok(())
    }

    /// Assigns jobs to devices until the server stops.
    pub(super) async fn schedule(self) {
        let mut looked_for_room = None;
        // A job that ran out of disk space waits at least this long, even if the disk has free space: there may be a
        // quota.
        let again_after = Duration::from_secs(1 + 10 * self.0.settings.restart_delay_s);
        loop {
            if looked_for_room.is_none_or(|at: Instant| at.elapsed() >= again_after) {
                looked_for_room = Some(Instant::now());
                self.keep_spare();
                if let Err(error) = self.release_held().await {
                    error!("cannot check for jobs that wait for disk space: {error}");
                }
            }
            if let Err(error) = self.claim_all().await {
                error!("cannot read the queue: {error}");
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
            while store::queue::has_work_for(&self.0.db, slot).await? {
                let lack = self.lacks();
                let waits = lack.is_some();
                self.set_waiting(slot, lack);
                if waits {
                    break;
                }
                let Some(id) = self.claim(slot).await? else { break };
                info!(job.id = %id, "job {id} starts on {}", slot.device);
                self.tell();
                self.0.tasks.spawn(self.clone().supervise(id));
            }
            if !store::queue::has_work_for(&self.0.db, slot).await? {
                self.set_waiting(slot, None);
            }
        }
        Ok(())
    }

    async fn claim(&self, slot: &DeviceSlot) -> store::Result<Option<JobId>> {
        let mut tx = store::begin(&self.0.db).await?;
        let Some((id, to)) = store::queue::claim_next(&mut *tx, slot).await? else {
            return Ok(None);
        };
        let from = if to == JobState::Running { JobState::Queued } else { to };
        let reason = format!("{} has a free slot", slot.device);
        let (actor, note) = (Actor::Server, StateNote::default());
        let change = Change { from, to, actor, reason: &reason, note };
        record(&mut tx, id, Some(from), change).await?;
        tx.commit().await?;
        Ok(Some(id))
    }

    /// Puts jobs that ran out of disk space back into the queue once there is enough.
    async fn release_held(&self) -> store::Result<()> {
        let held = store::queue::waiting_for_room(&self.0.db).await?;
        if held.is_empty() || self.lacks().is_some() {
            return Ok(());
        }
        for id in held {
            let (from, to, actor) = (JobState::Paused, JobState::Queued, Actor::Server);
            let (reason, note) = ("the disk has space again", StateNote::default());
            let mut tx = store::begin(&self.0.db).await?;
            change(&mut tx, id, Change { from, to, actor, reason, note }).await?;
            tx.commit().await?;
            info!(job.id = %id, "job {id} is queued: {reason}");
            self.sync_control(id).await?;
            self.tell();
        }
        Ok(())
    }

    /// Makes the scheduler check the queue now.
    pub(super) fn wake_scheduler(&self) {
        self.0.queued.notify_one();
    }
}
