//! What the server wants of a worker: the content of `control.json`.

use serde::{Deserialize, Serialize};

/// `control.json`: what the server wants of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Go on.
    #[default]
    Run,
    /// Save a checkpoint and exit; the job continues later.
    Pause,
    /// End now, keep the result.
    Stop,
    /// End now, keep nothing.
    Cancel,
}

/// The content of `control.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Control {
    /// What to do.
    pub command: Command,
}
