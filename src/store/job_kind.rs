//! The `kind` column of the `job` table.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(rename_all = "snake_case")]
pub enum JobKind {
    /// Fine-tunes a model.
    Train,
    /// Evaluates one or two models.
    Evaluate,
    /// Mixes a model with the base model.
    Mix,
}
