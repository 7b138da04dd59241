//! The current epoch's progress.

use serde::{Deserialize, Serialize};

use crate::protocol::metrics::TrainMetrics;

/// The current epoch's progress; all zero between epochs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done in this epoch.
    pub step: u32,
    /// Training views seen in this epoch.
    pub seen: u64,
    /// Seconds spent on this epoch by all workers together.
    pub seconds: f64,
    /// Number of views that the diagnostics have seen, and how many of them had no face to learn.
    pub watched: [usize; 2],
    /// The figures, summed over the epoch's steps; absent from the checkpoints of earlier versions.
    #[serde(default)]
    pub figures: Option<TrainMetrics>,
}
