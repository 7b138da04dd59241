//! The worker, which runs one job from its first step or last checkpoint to its result.

pub mod advice;
pub mod artifacts;
pub mod checkpoint;
pub mod error;
pub mod evaluate;
pub mod faults;
pub mod heartbeat;
pub mod import;
pub mod mix;
mod panics;
mod record;
pub mod report;
pub mod result;
pub mod run;
pub mod samples;
pub mod sheets;
pub mod tensorboard;
pub mod train;
