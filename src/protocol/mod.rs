//! The protocol between the server and its workers: a job's folder and the content of its files.

pub mod cause;
pub mod control;
pub mod diagnostics;
pub mod evaluate_spec;
pub mod events;
pub mod folder;
pub mod import_spec;
pub mod job_spec;
pub mod log;
pub mod metrics;
pub mod mix_spec;
pub mod mixing;
pub mod schedule;
pub mod score_shift;
pub mod train_spec;
