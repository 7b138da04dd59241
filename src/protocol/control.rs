//! The content of `control.json`: the server's current command to a worker.

use serde::{Deserialize, Serialize};

/// A command from the server to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Keep working.
    #[default]
    Run,
    /// Save a checkpoint and exit; the job continues later.
    Pause,
    /// End now and keep the result.
    Stop,
    /// End now and keep nothing.
    Cancel,
}

/// The content of `control.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Control {
    /// The current command.
    pub command: Command,
}
