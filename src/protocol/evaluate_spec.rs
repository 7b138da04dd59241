//! Parameters of an evaluation job.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::train_spec::DeviceChoice;

/// An evaluation job's `params`, as the user submits them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvaluateParams {
    /// The model to measure.
    pub model_id: ModelChoice,
    /// A second model to compare it with.
    pub compare_with: Option<ModelChoice>,
    /// The pictures to measure on.
    pub split: SplitChoice,
}

/// A model, written as `"mediapipe"` or the model's ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ModelChoice {
    /// `MediaPipe`'s published weights.
    Mediapipe,
    /// An imported or trained model.
    Model(Uuid),
}

/// The name of `MediaPipe`'s published weights, accepted in place of a file or an ID.
pub const MEDIAPIPE: &str = "mediapipe";
/// The ID of the same weights in the list of models, also accepted.
const BASE: &str = "base";

impl TryFrom<String> for ModelChoice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            MEDIAPIPE | BASE => Ok(Self::Mediapipe),
            id => Uuid::try_parse(id)
                .map(Self::Model)
                .map_err(|_| format!("unknown model {id:?}; use {MEDIAPIPE:?} or a model's ID")),
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

/// A selection of a data set's pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SplitChoice {
    /// The validation pictures.
    #[default]
    Val,
    /// The training pictures.
    Train,
    /// The pictures that training never sees.
    Test,
    /// All pictures.
    All,
}

impl SplitChoice {
    /// Every choice.
    pub const ALL: [Self; 4] = [Self::Val, Self::Train, Self::Test, Self::All];

    /// Returns the split's name on the command line and in JSON.
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

/// The spec of an evaluation job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationSpec {
    /// The user's name for the data set.
    pub dataset: String,
    /// Folder of the imported data set.
    pub dataset_dir: PathBuf,
    /// The pictures to measure on.
    pub split: SplitChoice,
    /// The model to measure, then the model to compare it with, if any.
    pub models: Vec<NamedModel>,
    /// The device to measure on.
    pub device: DeviceChoice,
    /// Number of CPU threads; `None` means one per core.
    pub threads: Option<usize>,
}

/// A model to measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedModel {
    /// The user's name for the model.
    pub name: String,
    /// The weights file; `None` means `MediaPipe`'s published weights.
    pub file: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_mediapipe_or_an_id() {
        let read = |text: &str| serde_json::from_value::<ModelChoice>(text.into());
        assert_eq!(read("mediapipe").unwrap(), ModelChoice::Mediapipe);
        assert_eq!(read("base").unwrap(), ModelChoice::Mediapipe);
        let id = "01970000-0000-7000-8000-000000000000";
        assert_eq!(String::from(read(id).unwrap()), id);
        assert!(read("best").unwrap_err().to_string().contains("\"mediapipe\""));
    }

    #[test]
    fn split_names_match_json() {
        for split in SplitChoice::ALL {
            assert_eq!(serde_json::to_value(split).unwrap(), split.name());
            assert_eq!(split.name().parse(), Ok(split));
        }
    }
}
