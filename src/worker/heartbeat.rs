//! A sign of life for the server: a file whose time changes while work makes progress.
//!
//! It comes from the thread that works, not from one beside it, so a worker that hangs falls silent.

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

/// Makes this process beat at `path` from now on; if the file cannot be created, it does not beat.
pub fn begin(path: &Path) {
    let heart = File::create(path).ok().map(|file| Heart { file, last: Instant::now() });
    *HEART.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = heart;
}

/// Says that work has made progress. Takes next to no time and no disk space.
pub fn beat() {
    let mut heart = HEART.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let Some(heart) = heart.as_mut().filter(|heart| heart.last.elapsed() >= EVERY) else { return };
    heart.last = Instant::now();
    let _ = heart.file.set_modified(SystemTime::now()); // The next one may do.
}
