//! What an evaluation is asked to do.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::train_spec::DeviceChoice;

/// What a user asks for: `params` of an evaluation job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvaluateParams {
    /// The model to measure.
    pub model_id: ModelChoice,
    /// A second model to compare with.
    pub compare_with: Option<ModelChoice>,
    /// Which pictures of the data set to measure on.
    pub split: SplitChoice,
}

/// `"mediapipe"`, or the id of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ModelChoice {
    /// `MediaPipe`'s published weights.
    Mediapipe,
    /// An imported model or one trained here.
    Model(Uuid),
}

/// Stands for `MediaPipe`'s published weights, in place of a file or an id.
pub const MEDIAPIPE: &str = "mediapipe";
/// Its id in the list of models, which is taken too.
const BASE: &str = "base";

impl TryFrom<String> for ModelChoice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            MEDIAPIPE | BASE => Ok(Self::Mediapipe),
            id => Uuid::try_parse(id).map(Self::Model).map_err(|_| {
                format!("unknown model {id:?}; use {MEDIAPIPE:?}, or the id of a model")
            }),
        }
    }
}

impl From<ModelChoice> for String {
    fn from(model: ModelChoice) -> Self {
        match model {
            ModelChoice::Mediapipe => MEDIAPIPE.to_owned(),
            ModelChoice::Model(id) => id.to_string(),
        }
    }
}

/// Pictures of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SplitChoice {
    /// The pictures that training measures on.
    #[default]
    Val,
    /// The pictures that training learns from.
    Train,
    /// The pictures that training never sees.
    Test,
    /// Every one.
    All,
}

impl SplitChoice {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Val, Self::Train, Self::Test, Self::All];

    /// Its name, as on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Val => "val",
            Self::Train => "train",
            Self::Test => "test",
            Self::All => "all",
        }
    }
}

impl fmt::Display for SplitChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SplitChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|split| split.name() == text);
        found.ok_or_else(|| format!("unknown split {text:?}; use val, train, test or all"))
    }
}

/// The content of an evaluation's `spec.json`: all that a worker needs to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationSpec {
    /// The user's name for the data set.
    pub dataset: String,
    /// Folder of the imported data set.
    pub dataset_dir: PathBuf,
    /// Which of its pictures to measure on.
    pub split: SplitChoice,
    /// The model to measure, then the one to compare it with, if any.
    pub models: Vec<NamedModel>,
    /// Where to measure.
    pub device: DeviceChoice,
    /// Threads for a CPU job; `None` takes every core.
    pub threads: Option<usize>,
}

/// A model to measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedModel {
    /// The user's name for it.
    pub name: String,
    /// Its weights; `None` for `MediaPipe`'s own.
    pub file: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_mediapipes_or_has_an_id() {
        let read = |text: &str| serde_json::from_value::<ModelChoice>(text.into());
        assert_eq!(read("mediapipe").unwrap(), ModelChoice::Mediapipe);
        assert_eq!(read("base").unwrap(), ModelChoice::Mediapipe);
        let id = "01970000-0000-7000-8000-000000000000";
        assert_eq!(String::from(read(id).unwrap()), id);
        assert!(read("best").unwrap_err().to_string().contains("\"mediapipe\""));
    }

    #[test]
    fn names_of_splits_are_those_of_json() {
        for split in SplitChoice::ALL {
            assert_eq!(serde_json::to_value(split).unwrap(), split.name());
            assert_eq!(split.name().parse(), Ok(split));
        }
    }
}
