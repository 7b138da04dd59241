//! How much of the base model is in a result, and why.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::metrics::ValMetrics;

/// The mixes that were tried, and the one that became the result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Mixing {
    /// Share of the base model in the result, 0..1.
    pub retain: f64,
    /// Why this one.
    pub reason: Reason,
    /// What each mix measured, by its share.
    #[serde(default)]
    pub curve: Vec<Mix>,
}

impl Mixing {
    /// What the chosen mix measured.
    pub fn result(&self) -> Option<&ValMetrics> {
        self.curve.iter().find(|mix| mix.retain == self.retain).map(|mix| &mix.val)
    }
}

/// Measures of one mix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Mix {
    /// Share of the base model, 0..1.
    pub retain: f64,
    /// Over the whole validation set.
    pub val: ValMetrics,
}

/// Why a mix was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The job's parameters said so.
    Requested,
    /// The best average precision among the mixes that are nowhere worse than the base model.
    KeepsEverySize,
    /// Every mix is worse for some size of face; this one loses least.
    LosesLeast,
}
