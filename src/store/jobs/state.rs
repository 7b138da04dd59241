//! The `state` column of the `job` table.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A job's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(rename_all = "snake_case")]
pub enum JobState {
    /// Waiting for a device.
    Queued,
    /// A worker is running the job, or will be again after a crash.
    Running,
    /// The worker was told to save a checkpoint and exit.
    Pausing,
    /// Waiting to be resumed.
    Paused,
    /// The worker was told to end early and keep the result.
    Stopping,
    /// The worker was told to end early and keep nothing.
    Cancelling,
    /// Ended with a result.
    Completed,
    /// Ended without a result at the user's request.
    Cancelled,
    /// Ended because of a failure.
    Failed,
}

impl JobState {
    /// All states.
    pub const ALL: [Self; 9] = [
        Self::Queued,
        Self::Running,
        Self::Pausing,
        Self::Paused,
        Self::Stopping,
        Self::Cancelling,
        Self::Completed,
        Self::Cancelled,
        Self::Failed,
    ];

    /// Whether the job has ended. A failed job may still be resumed.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Failed)
    }

    /// Whether the job occupies one of a device's slots.
    pub fn holds_device(self) -> bool {
        matches!(self, Self::Running | Self::Pausing | Self::Stopping | Self::Cancelling)
    }

    /// Returns the state's name in the database and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Pausing => "pausing",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
            Self::Cancelling => "cancelling",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn state_names_match_their_json_form() {
        for state in JobState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), json!(state.name()));
        }
    }
}
