//! One job, from a device until it gives that back, over as many workers as it takes.

use std::time::{Duration, Instant};

use anyhow::Context;
use tracing::{error, info, warn};

use super::Jobs;
use super::intake::{self, BadLine, End};
use super::lifecycle::Fate;
use super::process::{Worker, last_words};
use super::settle::Why;
use crate::store;
use crate::store::ids::JobId;
use crate::store::jobs::{Job, JobState};

/// Before another try, when the server itself is in trouble.
const AFTER_TROUBLE: Duration = Duration::from_secs(5);
/// The longest wait between two restarts of a job.
const LONGEST_DELAY: Duration = Duration::from_mins(5);
/// A worker that has reported its end gets this long to be gone.
const LEAVE_WITHIN: Duration = Duration::from_secs(30);

/// What was read, at the end of what there is to read for now.
enum Tail {
    Open,
    Ended(Box<End>),
    Bad(BadLine),
}

impl Jobs {
    /// Sees the job through.
    pub(super) async fn supervise(self, id: JobId) {
        loop {
            match self.see_through(id).await {
                Ok(()) => break,
                // The disk is full, or the database locked: that is no fault of the job.
                Err(error) => error!(job.id = %id, "cannot see to job {id}: {error:#}"),
            }
            if !self.pause(AFTER_TROUBLE).await {
                break;
            }
        }
        self.wake_scheduler();
    }

    async fn see_through(&self, id: JobId) -> anyhow::Result<()> {
        loop {
            let Some(job) = store::jobs::find(&self.0.db, id).await? else { return Ok(()) };
            let adopted = Worker::adopt(self.dir(id).path(), job.worker_pid, job.worker_started)?;
            let why = match adopted {
                Some(worker) => self.watch(id, worker).await?,
                None => match self.without_worker(&job).await? {
                    Next::Ended(why) => Some(why),
                    Next::Watch(worker) => self.watch(id, worker).await?,
                    Next::Leave => None,
                },
            };
            let Some(why) = why else { return Ok(()) };
            match self.settle(id, why).await? {
                Fate::Move(_) => return Ok(()),
                Fate::Restart { .. } => {
                    if !self.back_off(id).await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// A job that has a device but no worker: new, or left over from another server.
    async fn without_worker(&self, job: &Job) -> anyhow::Result<Next> {
        // What the last worker has said may be the end.
        if let Tail::Ended(end) = self.drain(job.id).await? {
            return Ok(Next::Ended(Why::Said(end)));
        }
        // With nobody to tell, it is as good as done.
        if matches!(job.state, JobState::Cancelling | JobState::Pausing) {
            return Ok(Next::Ended(Why::Gone("is gone".to_owned())));
        }
        if let Err(error) = self.prepare(job).await {
            self.fail(job.id, &format!("{error:#}")).await?;
            return Ok(Next::Leave);
        }
        self.sync_control(job.id).await?;
        let is_nice = job.device.as_deref() == Some("cpu");
        let started = Worker::start(&self.0.program, self.dir(job.id).path(), is_nice);
        let worker = match started {
            Ok(worker) => worker.context("the job has another worker already")?,
            Err(error) => return Ok(Next::Ended(Why::Gone(format!("cannot be started: {error}")))),
        };
        let pid = worker.pid().unwrap_or_default();
        store::jobs::set_worker(&self.0.db, job.id, pid, worker.started()).await?;
        info!(job.id = %job.id, "job {} has worker {pid}", job.id);
        Ok(Next::Watch(worker))
    }

    /// Takes in what the worker reports until it is gone. None when told to stop watching.
    async fn watch(&self, id: JobId, mut worker: Worker) -> anyhow::Result<Option<Why>> {
        let poll = Duration::from_millis(self.0.settings.poll_ms);
        let grace = Duration::from_secs(self.0.settings.cancel_grace_s);
        let (mut cancelled_at, mut ended_at) = (None, None);
        loop {
            // In this order: what a worker said before it went is all there when it is gone.
            let exit = worker.exit()?;
            let tail = self.drain(id).await?;
            match (exit, tail) {
                (Some(_), Tail::Ended(end)) => return Ok(Some(Why::Said(end))),
                (Some(exit), Tail::Open) => {
                    let words = last_words(self.dir(id).path());
                    let words = words.map_or(String::new(), |words| format!("; it said: {words}"));
                    return Ok(Some(Why::Gone(exit.describe() + &words)));
                }
                (Some(_), Tail::Bad(bad)) => {
                    return Ok(Some(Why::Gone(format!("reported nonsense: {bad}"))));
                }
                (None, Tail::Open) => {}
                (None, Tail::Ended(_)) => {
                    let since = ended_at.get_or_insert_with(Instant::now);
                    if since.elapsed() > LEAVE_WITHIN {
                        worker.kill();
                    }
                }
                (None, Tail::Bad(bad)) => {
                    warn!(job.id = %id, "ending the worker of job {id}: {bad}");
                    worker.kill();
                }
            }
            if self.is_cancelling(id).await? {
                let since = cancelled_at.get_or_insert_with(Instant::now);
                if since.elapsed() > grace {
                    worker.kill();
                }
            }
            if !self.pause(poll).await {
                return Ok(None);
            }
        }
    }

    /// Stores what the worker has reported since the last look.
    async fn drain(&self, id: JobId) -> anyhow::Result<Tail> {
        loop {
            let job = store::jobs::find(&self.0.db, id).await?;
            let from = job.map_or(0, |job| job.events_read).cast_unsigned();
            let path = self.dir(id).events_file();
            let batch = tokio::task::spawn_blocking(move || intake::read(&path, from)).await??;
            if intake::store(&self.0.db, id, &batch).await? {
                self.tell();
            }
            if let Some(end) = batch.finished {
                return Ok(Tail::Ended(Box::new(end)));
            }
            if let Some(bad) = batch.bad {
                return Ok(Tail::Bad(bad));
            }
            if !batch.has_more {
                return Ok(Tail::Open);
            }
        }
    }

    async fn is_cancelling(&self, id: JobId) -> store::Result<bool> {
        let job = store::jobs::find(&self.0.db, id).await?;
        Ok(job.is_none_or(|job| job.state == JobState::Cancelling))
    }

    /// Waits before a restart, each time twice as long. Answers whether to go on.
    async fn back_off(&self, id: JobId) -> anyhow::Result<bool> {
        let job = store::jobs::find(&self.0.db, id).await?;
        let restarts = job.map_or(0, |job| job.restarts).clamp(1, 16);
        let delay = Duration::from_secs(self.0.settings.restart_delay_s) * (1 << (restarts - 1));
        let until = Instant::now() + delay.min(LONGEST_DELAY);
        let poll = Duration::from_millis(self.0.settings.poll_ms);
        while Instant::now() < until && !self.is_cancelling(id).await? {
            if !self.pause(poll).await {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// How to go on with a job that has no worker.
enum Next {
    Watch(Worker),
    Ended(Why),
    Leave,
}
