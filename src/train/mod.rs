//! Fine-tuning, as mathematics: it knows neither folders nor events.

pub mod device;
pub mod diagnostics;
pub mod engine;
pub mod evaluation;
pub mod init;
pub mod loss;
pub mod mixing;
pub mod native;
pub mod optimizer;
pub mod progress;
#[cfg(feature = "torch")]
pub mod torch;
pub mod trainer;
pub mod validation;
pub mod views;

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
