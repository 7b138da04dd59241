//! Follows one job for as long as it holds a device, through as many workers as needed.

use std::io::ErrorKind::PermissionDenied;
use std::time::{Duration, Instant};

use anyhow::Context;
use tracing::{error, info, warn};

use super::Jobs;
use super::changes::{Change, change};
use super::executor::{Exit, Ticket, Worker, last_words};
use super::intake::{self, BadLine, End};
use super::lifecycle::Fate;
use super::patience::{Patience, Stopwatch};
use super::settle::Why;
use crate::protocol::cause::Cause;
use crate::protocol::folder::JobDirError;
use crate::store;
use crate::store::ids::JobId;
use crate::store::jobs::{Job, JobState, StateNote};
use crate::store::transitions::Actor;

/// How long to wait before the next attempt after a server error.
pub(super) const AFTER_TROUBLE: Duration = Duration::from_secs(2);
/// The longest wait between two restarts of a job.
const LONGEST_DELAY: Duration = Duration::from_mins(5);

/// How `events.jsonl` currently ends.
enum Tail {
    Open,
    Ended(Box<End>),
    Bad(BadLine),
}

impl Jobs {
    /// Follows the job to its end.
    pub(super) async fn supervise(self, id: JobId) {
        let mut ran = None;
        loop {
            match self.see_through(id, &mut ran).await {
                Ok(()) => break,
                // The disk may be full or the database locked, which is not the job's fault.
                Err(error) => error!(job.id = %id, "cannot supervise job {id}: {error:#}"),
            }
            if !self.pause(AFTER_TROUBLE).await {
                break;
            }
        }
        self.wake_scheduler();
        self.0.ended.notify_one();
    }

    async fn see_through(&self, id: JobId, ran: &mut Option<Stopwatch>) -> anyhow::Result<()> {
        loop {
            let Some(job) = store::jobs::find(&self.0.db, id).await? else { return Ok(()) };
            let ran = *ran.get_or_insert_with(|| Stopwatch::from(job.ran_s));
            let ticket = Ticket { pid: job.worker_pid, started: job.worker_started };
            let why = match self.0.executor.find(self.dir(id).path(), ticket)? {
                Some(worker) => self.watch(id, worker, ran).await?,
                None => match self.without_worker(&job).await? {
                    Next::Ended(why) => Some(why),
                    Next::Watch(worker) => self.watch(id, worker, ran).await?,
                    Next::Leave => None,
                },
            };
            let Some(why) = why else { return Ok(()) };
            let Some(fate) = self.settle_in_time(id, &why, ran).await else { return Ok(()) };
            match fate {
                Fate::Move(_) | Fate::Hold(_) => return Ok(()),
                Fate::Restart { .. } | Fate::Shrink => {
                    if !self.back_off(id).await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Stores how a worker ended, and retries until it succeeds: nothing else knows how the worker ended. Returns
    /// `None` if the server stops first.
    async fn settle_in_time(&self, id: JobId, why: &Why, ran: Stopwatch) -> Option<Fate> {
        loop {
            match self.settle(id, why, ran.seconds()).await {
                Ok(fate) => return Some(fate),
                Err(error) => {
                    error!(job.id = %id, "cannot store the outcome of job {id}: {error:#}");
                    if self.give_up_spare().unwrap_or(false) {
                        continue;
                    }
                }
            }
            if !self.pause(AFTER_TROUBLE).await {
                return None;
            }
        }
    }

    /// Handles a job that has a device but no worker: a new job, or a job from an earlier server.
    async fn without_worker(&self, job: &Job) -> anyhow::Result<Next> {
        // The previous worker may have reported its end.
        if let Tail::Ended(end) = self.drain(job.id).await? {
            return Ok(Next::Ended(Why::Reported(end)));
        }
        // No worker is left to cancel or pause, so the request counts as carried out.
        if matches!(job.state, JobState::Cancelling | JobState::Pausing) {
            let (cause, how) = (Cause::Killed, "is gone".to_owned());
            return Ok(Next::Ended(Why::Gone { cause, how }));
        }
        if let Err(error) = self.prepare(job).await {
            let io = error.chain().find_map(|cause| cause.downcast_ref::<JobDirError>());
            let Some(cause) = io.map(JobDirError::cause) else {
                self.fail(job.id, &format!("{error:#}")).await?;
                return Ok(Next::Leave);
            };
            return Ok(Next::Ended(Why::Gone { cause, how: format!("has no folder: {error:#}") }));
        }
        self.sync_control(job.id).await?;
        let is_cpu = job.device.as_deref() == Some("cpu");
        let nice = if is_cpu { self.0.devices.cpu_nice } else { 0 };
        let worker = match self.0.executor.start(self.dir(job.id).path(), nice) {
            Ok(worker) => worker.context("the job already has a worker")?,
            Err(error) => {
                let cause = match Cause::of_io(&error) {
                    cause if cause.is_of_disk() && error.kind() != PermissionDenied => cause,
                    _ => Cause::NotStarted,
                };
                let how = format!("could not be started: {error}");
                return Ok(Next::Ended(Why::Gone { cause, how }));
            }
        };
        let Ticket { pid, started } = worker.ticket();
        let pid = pid.unwrap_or_default();
        store::jobs::set_worker(&self.0.db, job.id, pid, started).await?;
        info!(job.id = %job.id, "job {} has worker {pid}", job.id);
        Ok(Next::Watch(worker))
    }

    /// Stores the worker's reports until the worker ends. Returns `None` if the server stops or the job is deleted.
    async fn watch(
        &self,
        id: JobId,
        mut worker: Box<dyn Worker>,
        ran: Stopwatch,
    ) -> anyhow::Result<Option<Why>> {
        let poll = Duration::from_millis(self.0.settings.poll_ms);
        let mut patience = Patience::new(&self.0.settings, self.dir(id));
        loop {
            // The order matters: once the worker has ended, the file contains everything that it reported.
            let exit = worker.poll()?;
            let tail = self.drain(id).await?;
            if let Some(exit) = exit {
                return Ok(Some(self.why_gone(id, exit, tail, patience)));
            }
            match tail {
                Tail::Open => patience.look(),
                Tail::Ended(_) => patience.with_end(),
                Tail::Bad(bad) => {
                    patience.lose(Cause::Nonsense, &format!("reported nonsense: {bad}"));
                }
            }
            let Some(job) = store::jobs::find(&self.0.db, id).await? else {
                worker.kill(); // The job was deleted.
                return Ok(None);
            };
            if job.state == JobState::Cancelling {
                patience.with_cancel();
            }
            self.keep_time_limit(&job, ran.seconds()).await?;
            if patience.is_lost() {
                worker.kill();
            }
            if !self.pause(poll).await {
                return Ok(None);
            }
        }
    }

    /// Determines how a worker ended.
    fn why_gone(&self, id: JobId, exit: Exit, tail: Tail, patience: Patience) -> Why {
        match (tail, patience.killed) {
            (Tail::Ended(end), _) => Why::Reported(end),
            (_, Some((cause, how))) => Why::Gone { cause, how },
            (Tail::Bad(bad), None) => {
                Why::Gone { cause: Cause::Nonsense, how: format!("reported nonsense: {bad}") }
            }
            (Tail::Open, None) => {
                let words = last_words(self.dir(id).path()).unwrap_or_default();
                let cause = match exit.cause {
                    cause @ (Cause::Crashed | Cause::Exited) => {
                        Cause::of_words(&words).unwrap_or(cause)
                    }
                    cause => cause,
                };
                let words = if words.is_empty() { words } else { format!("; it said: {words}") };
                Why::Gone { cause, how: exit.how + &words }
            }
        }
    }

    /// Stops a job that has reached its time limit.
    async fn keep_time_limit(&self, job: &Job, ran_s: f64) -> anyhow::Result<()> {
        let Some(limit_s) = job.time_limit_s else { return Ok(()) };
        if job.state != JobState::Running || ran_s < limit_s as f64 {
            return Ok(());
        }
        let reason = format!("its time limit of {limit_s} s has expired");
        let (from, to, actor) = (job.state, JobState::Stopping, Actor::Server);
        let note = StateNote::default();
        let mut tx = store::begin(&self.0.db).await?;
        change(&mut tx, job.id, Change { from, to, actor, reason: &reason, note }).await?;
        tx.commit().await?;
        info!(job.id = %job.id, "job {} is stopping: {reason}", job.id);
        self.sync_control(job.id).await?;
        self.tell();
        Ok(())
    }

    /// Stores what the worker has reported since the last call.
    async fn drain(&self, id: JobId) -> anyhow::Result<Tail> {
        loop {
            let job = store::jobs::find(&self.0.db, id).await?;
            let mark = job.map_or(0, |job| job.events_read);
            let path = self.dir(id).events_file();
            let from = mark.cast_unsigned();
            let batch = tokio::task::spawn_blocking(move || intake::read(&path, from)).await??;
            if let Some(length) = batch.shorter {
                // A power failure lost the file or its end. Everything written from now on is new.
                warn!(job.id = %id, "events.jsonl of job {id} is shorter than before");
                store::jobs::rewind_events(&self.0.db, id, mark, length.cast_signed()).await?;
                continue;
            }
            match intake::store(&self.0.db, id, &batch).await {
                Ok(true) => self.tell(),
                Ok(false) => {}
                // While a worker runs, keep the spare space: the worker would only fill it.
                Err(_)
                    if !self.0.executor.is_alive(self.dir(id).path())
                        && self.give_up_spare()? =>
                {
                    continue;
                }
                Err(error) => return Err(error),
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

    /// Whether the job should have a worker.
    async fn goes_on(&self, id: JobId) -> store::Result<bool> {
        let job = store::jobs::find(&self.0.db, id).await?;
        Ok(job.is_some_and(|job| matches!(job.state, JobState::Running | JobState::Stopping)))
    }

    /// Waits before a restart. The delay doubles with each restart, up to [`LONGEST_DELAY`]. Returns whether to
    /// continue.
    async fn back_off(&self, id: JobId) -> anyhow::Result<bool> {
        let job = store::jobs::find(&self.0.db, id).await?;
        let restarts = job.map_or(0, |job| job.restarts).clamp(1, 16);
        let delay = Duration::from_secs(self.0.settings.restart_delay_s) * (1 << (restarts - 1));
        let until = Instant::now() + delay.min(LONGEST_DELAY);
        let poll = Duration::from_millis(self.0.settings.poll_ms);
        while Instant::now() < until && self.goes_on(id).await? {
            if !self.pause(poll).await {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What to do with a job that has no worker.
enum Next {
    Watch(Box<dyn Worker>),
    Ended(Why),
    Leave,
}
