//! Decides how long to wait for a worker to obey, to exit after reporting its end, or to show a sign of life.

use std::fs;
use std::time::{Duration, Instant, SystemTime};

use tracing::warn;

use crate::config;
use crate::protocol::cause::Cause;
use crate::protocol::folder::JobDir;

/// How long a worker may take to exit after reporting its end.
const LEAVE_WITHIN: Duration = Duration::from_secs(30);

/// Patience with one worker. Uses the server's monotonic clock, because the clocks of the worker and the file system
/// may jump.
#[derive(Debug)]
pub(super) struct Patience {
    dir: JobDir,
    hang: Option<Duration>,
    grace: Duration,
    signs: Signs,
    seen: Instant,
    cancelled: Option<Instant>,
    ended: Option<Instant>,
    /// Why the worker must be killed. The text completes a sentence that begins with "the worker".
    pub(super) killed: Option<(Cause, String)>,
    is_over: bool,
}

/// Signs of life, which change while a worker makes progress.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Signs {
    beat: Option<SystemTime>,
    events: Option<u64>,
}

impl Signs {
    fn of(dir: &JobDir) -> Self {
        let beat = fs::metadata(dir.heartbeat_file()).and_then(|file| file.modified());
        let events = fs::metadata(dir.events_file()).map(|file| file.len());
        Self { beat: beat.ok(), events: events.ok() }
    }
}

impl Patience {
    pub(super) fn new(settings: &config::JobSettings, dir: JobDir) -> Self {
        Self {
            hang: Some(settings.hang_timeout_s).filter(|&s| s > 0).map(Duration::from_secs),
            grace: Duration::from_secs(settings.cancel_grace_s),
            signs: Signs::of(&dir),
            dir,
            seen: Instant::now(),
            cancelled: None,
            ended: None,
            killed: None,
            is_over: false,
        }
    }

    /// Checks a running worker for signs of life.
    pub(super) fn look(&mut self) {
        let Some(hang) = self.hang else { return };
        let signs = Signs::of(&self.dir);
        if signs != self.signs {
            (self.signs, self.seen) = (signs, Instant::now());
        } else if self.seen.elapsed() > hang {
            self.lose(Cause::Hung, &format!("gave no sign of life for {} s", hang.as_secs()));
        }
    }

    /// Gives the worker time to exit after it has reported its end.
    pub(super) fn with_end(&mut self) {
        let since = self.ended.get_or_insert_with(Instant::now);
        self.is_over |= since.elapsed() > LEAVE_WITHIN;
    }

    /// Gives the worker time to exit after it was told to cancel.
    pub(super) fn with_cancel(&mut self) {
        let since = self.cancelled.get_or_insert_with(Instant::now);
        self.is_over |= since.elapsed() > self.grace;
    }

    /// Decides that the worker must be killed, for this reason.
    pub(super) fn lose(&mut self, cause: Cause, how: &str) {
        if self.killed.is_none() {
            warn!("killing the worker in {}: it {how}", self.dir.path().display());
            self.killed = Some((cause, how.to_owned()));
        }
        self.is_over = true;
    }

    /// Whether the worker must be killed.
    pub(super) fn is_lost(&self) -> bool {
        self.is_over
    }
}

/// Measures how long a job has held a device. Uses the monotonic clock, because the database's clock may jump.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stopwatch {
    before_s: f64,
    since: Instant,
}

impl Stopwatch {
    /// Starts a stopwatch that already shows this many seconds.
    pub(super) fn from(before_s: f64) -> Self {
        Self { before_s, since: Instant::now() }
    }

    pub(super) fn seconds(self) -> f64 {
        self.before_s + self.since.elapsed().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_without_a_sign_of_life_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let dir = JobDir::new(folder.path());
        let settings = config::JobSettings { hang_timeout_s: 1, ..config::JobSettings::default() };
        let mut patience = Patience::new(&settings, dir.clone());
        let ago = |patience: &mut Patience| {
            patience.seen = Instant::now().checked_sub(Duration::from_secs(5)).unwrap();
        };
        ago(&mut patience);
        fs::write(dir.events_file(), "x").unwrap();
        patience.look();
        assert!(!patience.is_lost(), "it has reported something");
        ago(&mut patience);
        fs::write(dir.heartbeat_file(), "").unwrap();
        patience.look();
        assert!(!patience.is_lost(), "it has sent a heartbeat");
        ago(&mut patience);
        patience.look();
        let (cause, how) = patience.killed.unwrap();
        assert_eq!((cause, how.as_str()), (Cause::Hung, "gave no sign of life for 1 s"));
    }
}
