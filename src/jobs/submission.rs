//! What a user can ask for.

use super::kinds::Task;
use crate::store::ids::DatasetId;

/// What a user asks for.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The user's name for it.
    pub name: String,
    /// What to train on, or measure on; a mix may have none.
    pub dataset_id: Option<DatasetId>,
    /// What to do.
    pub task: Task,
    /// When, and for how long.
    pub when: When,
}

/// When a job is to run, and for how long at most.
#[derive(Debug, Clone, Default)]
pub struct When {
    /// Higher ones go first.
    pub priority: i64,
    /// Not before this; RFC 3339, UTC, milliseconds.
    pub not_before: Option<String>,
    /// It is stopped, keeping its result so far, after running this long.
    pub time_limit_s: Option<i64>,
}

/// Identifies a request that is sent again.
#[derive(Debug, Clone)]
pub struct Idempotency {
    /// The client's.
    pub key: String,
    /// SHA-256 of the request's body.
    pub body_sha256: String,
}
