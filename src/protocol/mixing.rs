//! How much of the base model a result contains, and why.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::metrics::ValMetrics;

/// The chosen mix, and all mixes that were measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Mixing {
    /// Share of the base model in the result, 0..1.
    pub retain: f64,
    /// Why this mix was chosen.
    pub reason: Reason,
    /// The measured mixes, in ascending order of share, before the chosen mix's scores were shifted.
    #[serde(default)]
    pub curve: Vec<Mix>,
}

impl Mixing {
    /// Returns the chosen mix's metrics from before its scores were shifted, if it was measured.
    pub fn result(&self) -> Option<&ValMetrics> {
        self.curve.iter().find(|mix| mix.retain == self.retain).map(|mix| &mix.val)
    }
}

/// Metrics of one mix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Mix {
    /// Share of the base model, 0..1.
    pub retain: f64,
    /// Metrics on the whole validation set.
    pub val: ValMetrics,
}

/// Why a mix was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The job's parameters set the share.
    Requested,
    /// The mix is no worse than the base model for any size of face, and scores close to the best such mix.
    KeepsEverySize,
    /// Every mix is worse than the base model for some size of face; this one loses the least.
    LosesLeast,
}
