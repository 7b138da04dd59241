//! Column `state` of table `job`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for a device.
    Queued,
    /// A worker is on it, or will be again after a crash.
    Running,
    /// The worker was told to save and leave.
    Pausing,
    /// Waits to be resumed.
    Paused,
    /// The worker was told to end early.
    Stopping,
    /// The worker was told to give up.
    Cancelling,
    /// Ended with a result.
    Completed,
    /// Ended without a result, as the user asked.
    Cancelled,
    /// Could not continue.
    Failed,
}

impl JobState {
    /// Every one.
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

    /// Whether it has ended. A failed job may still be resumed.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Failed)
    }

    /// Whether it takes up a slot of a device.
    pub fn holds_device(self) -> bool {
        matches!(self, Self::Running | Self::Pausing | Self::Stopping | Self::Cancelling)
    }

    /// Its name, as in the database and in JSON.
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
    fn names_of_states_are_those_of_the_database() {
        for state in JobState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), json!(state.name()));
        }
    }
}
