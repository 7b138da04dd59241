//! The mathematics of fine-tuning, independent of files and events.

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
pub mod score_shift;
#[cfg(feature = "torch")]
pub mod torch;
pub mod trainer;
pub mod validation;
pub mod views;

/// An error that ends training.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The weights are no longer usable; the last checkpoint still is.
    #[error(
        "the loss is no longer finite at step {step} (epoch {epoch}); try a lower learning rate, \
         such as a third of the current one"
    )]
    Diverged {
        /// Optimizer steps done.
        step: u64,
        /// The current epoch.
        epoch: u32,
    },
    /// The data set has no training pictures.
    #[error("the data set has no training pictures")]
    NoPictures,
}
