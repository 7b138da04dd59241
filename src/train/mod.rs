//! Fine-tuning.

pub mod advice;
mod ahead;
pub mod artifacts;
pub mod batch;
pub mod boxes;
pub mod cause;
pub mod checkpoint;
pub mod costs;
pub mod cuda;
pub mod device;
pub mod diagnostics;
pub mod engine;
pub mod evaluation;
pub mod events;
pub mod extension;
pub mod faults;
pub mod heartbeat;
pub mod held;
pub mod init;
pub mod job_dir;
pub mod losses;
pub mod optimizer;
pub mod pictures;
pub mod presets;
pub mod render;
pub mod result;
pub mod retention;
pub mod run;
pub mod samples;
pub mod schedule;
pub mod spec;
pub mod targets;
pub mod trainer;
pub mod training;
pub mod validation;
pub mod views;
pub mod within;

/// Training cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The weights are no longer usable; the last checkpoint still is.
    #[error(
        "the loss is no longer a finite number at step {step} (epoch {epoch}); try a lower learning rate, \
         such as a third of this one"
    )]
    Diverged {
        /// Optimizer steps done.
        step: u64,
        /// The epoch under way.
        epoch: u32,
    },
    /// There is nothing to train on.
    #[error("the data set has no training pictures")]
    NoPictures,
}
