//! Progress within the current epoch.

use serde::{Deserialize, Serialize};

use crate::protocol::metrics::TrainMetrics;

/// Progress within the current epoch; all zero between epochs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done in this epoch.
    pub step: u32,
    /// Training views seen.
    pub seen: u64,
    /// Seconds spent, over all workers.
    pub seconds: f64,
    /// Views that the diagnostics have looked at, and how many of these had no face.
    pub watched: [usize; 2],
    /// The figures' sums over the epoch's steps; absent in checkpoints of earlier versions.
    #[serde(default)]
    pub figures: Option<TrainMetrics>,
}
