//! Where an epoch under way is, and what the epochs so far have left: with the network and the optimizer,
//! all that a checkpoint holds.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

/// Figures summed up on the device: loss parts, gradient norm, positives a face.
pub const FIGURES: i64 = 6;

/// How far the epoch under way is.
#[derive(Debug)]
pub struct Within {
    /// What is counted on the host.
    pub counts: Counts,
    /// `[6]`: sums over the epoch's steps.
    pub figures: Tensor,
}

/// What an epoch counts on the host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Steps done in this epoch; 0 between epochs.
    pub step: u32,
    /// Training views seen.
    pub seen: u64,
    /// Seconds that took, over all workers.
    pub seconds: f64,
    /// Views that the diagnostics have looked at, and how many of these had no face.
    pub watched: [usize; 2],
}

impl Within {
    /// Between two epochs.
    pub fn new(device: Device) -> Self {
        let figures = Tensor::zeros([FIGURES], (Kind::Float, device));
        Self { counts: Counts::default(), figures }
    }
}
