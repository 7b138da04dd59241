//! The worker's heartbeat: a file whose modification time changes while the job makes progress.
//!
//! The working thread itself touches the file, so the heartbeat of a hung worker stops.

use std::fs::File;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

struct Heart {
    file: File,
    last: Instant,
}

static HEART: Mutex<Option<Heart>> = Mutex::new(None);
const EVERY: Duration = Duration::from_millis(500);

/// Starts this process's heartbeat at `path`. If the file cannot be created, there is no heartbeat.
pub fn begin(path: &Path) {
    let heart = File::create(path).ok().map(|file| Heart { file, last: Instant::now() });
    *HEART.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = heart;
}

/// Records that the job has made progress. Takes almost no time and no disk space.
pub fn beat() {
    let mut heart = HEART.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let Some(heart) = heart.as_mut().filter(|heart| heart.last.elapsed() >= EVERY) else { return };
    heart.last = Instant::now();
    // If this beat fails, the next one may succeed.
    let _ = heart.file.set_modified(SystemTime::now());
}
