//! Requests for new jobs.

use super::kinds::Task;
use crate::store::ids::DatasetId;

/// A request for a new job.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The job's name, chosen by the user.
    pub name: String,
    /// The data set to train or measure on; optional for a mix.
    pub dataset_id: Option<DatasetId>,
    /// What the job does.
    pub task: Task,
    /// When the job may start, and how long it may run.
    pub when: When,
}

/// A job's priority, earliest start and time limit.
#[derive(Debug, Clone, Default)]
pub struct When {
    /// Jobs with a higher priority start first.
    pub priority: i64,
    /// The earliest start: RFC 3339, UTC, with milliseconds.
    pub not_before: Option<String>,
    /// The job stops after running for this many seconds, and keeps its result so far.
    pub time_limit_s: Option<i64>,
}

/// Identifies a repeated request.
#[derive(Debug, Clone)]
pub struct Idempotency {
    /// The client's `Idempotency-Key`.
    pub key: String,
    /// SHA-256 of the request body.
    pub body_sha256: String,
}
