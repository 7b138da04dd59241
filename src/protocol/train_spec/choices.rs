//! Parameters with named choices.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The initial weights, written as `"mediapipe"`, `"scratch"` or a model's ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "InitText", into = "InitText")]
pub enum Init {
    /// `MediaPipe`'s published weights.
    #[default]
    Mediapipe,
    /// Random weights.
    Scratch,
    /// An imported or trained model.
    Model(Uuid),
}

impl JsonSchema for Init {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Init".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "anyOf": [
                {"const": "mediapipe", "description": "MediaPipe's published weights"},
                {"const": "scratch", "description": "random weights"},
                {"type": "string", "format": "uuid", "description": "a model's ID"}
            ]
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum InitText {
    Named(InitName),
    Model(Uuid),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum InitName {
    Mediapipe,
    Scratch,
}

impl From<InitText> for Init {
    fn from(text: InitText) -> Self {
        match text {
            InitText::Named(InitName::Mediapipe) => Self::Mediapipe,
            InitText::Named(InitName::Scratch) => Self::Scratch,
            InitText::Model(id) => Self::Model(id),
        }
    }
}

impl From<Init> for InitText {
    fn from(init: Init) -> Self {
        match init {
            Init::Mediapipe => Self::Named(InitName::Mediapipe),
            Init::Scratch => Self::Named(InitName::Scratch),
            Init::Model(id) => Self::Model(id),
        }
    }
}

/// A share of the base model, written as `"auto"` or a number from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "RetainText", into = "RetainText")]
pub enum Retain {
    /// The share that [`crate::train::mixing`] chooses.
    #[default]
    Auto,
    /// A fixed share.
    Share(f64),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum RetainText {
    Named(RetainName),
    Share(f64),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RetainName {
    Auto,
}

impl From<RetainText> for Retain {
    fn from(text: RetainText) -> Self {
        match text {
            RetainText::Named(RetainName::Auto) => Self::Auto,
            RetainText::Share(share) => Self::Share(share),
        }
    }
}

impl From<Retain> for RetainText {
    fn from(retain: Retain) -> Self {
        match retain {
            Retain::Auto => Self::Named(RetainName::Auto),
            Retain::Share(share) => Self::Share(share),
        }
    }
}

impl JsonSchema for Retain {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Retain".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "anyOf": [
                {"const": "auto", "description": "chosen on the validation pictures"},
                {"const": 0.0, "description": "only the fine-tuned weights"},
                {"const": 0.15, "description": "a little"},
                {"const": 0.3, "description": "about a third"},
                {"const": 0.5, "description": "half"},
                {"type": "number", "minimum": 0, "maximum": 1, "description": "another share"}
            ]
        })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "garde's signature")]
pub(super) fn share(retain: &Retain, (): &()) -> garde::Result {
    match retain {
        Retain::Share(share) if !(0.0..=1.0).contains(share) => {
            Err(garde::Error::new("must be \"auto\" or a number from 0 to 1"))
        }
        Retain::Auto | Retain::Share(_) => Ok(()),
    }
}

/// How BatchNorm is unfolded from the convolutions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unfold {
    /// Measures BatchNorm's statistics on training pictures, so that unfolding does not change the network. The
    /// statistics then stay fixed, so a view's gradient does not depend on the rest of its batch.
    #[default]
    Frozen,
    /// Starts like `frozen`, but normalises each batch with its own statistics and updates the running statistics.
    /// Slower.
    Calibrated,
    /// Follows the published trainer: gamma is 1, beta is the bias, the mean is 0 and the variance is 1. Each batch is
    /// normalised with its own statistics. Slower.
    Identity,
    /// Trains the folded convolutions, without BatchNorm.
    Folded,
}

impl Unfold {
    /// Whether each batch is normalised with its own statistics.
    pub fn uses_batches(self) -> bool {
        matches!(self, Self::Calibrated | Self::Identity)
    }
}

/// How the learning rate changes after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Falls along a cosine from the peak to the final learning rate.
    #[default]
    Cosine,
    /// Stays at the peak.
    Constant,
    /// Drops twice by the same factor, after 60 % and 85 % of the steps that follow the warm-up.
    Step,
}

/// The validation metric to optimise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Monitor {
    /// Average precision for faces of at least 6 pixels. Smaller faces are too small for the network.
    #[default]
    Ap50Ge6,
    /// Average precision for faces of at least 12 pixels.
    Ap50Ge12,
    /// Average precision for faces of at least 24 pixels.
    Ap50Ge24,
    /// Average precision for faces of every size.
    Ap50,
    /// Average precision for faces of every size, averaged over IoU thresholds from 0.50 to 0.95.
    #[serde(rename = "ap50_95")]
    Ap5095,
    /// The best F1 over all thresholds.
    BestF1,
    /// The validation loss.
    Loss,
}

/// How anchors are assigned to faces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Assignment {
    /// Assigns the anchors whose current outputs match the face best, up to ten of them.
    #[default]
    Dynamic,
    /// Assigns all anchors of the cell that has the highest IoU with the face, in either grid.
    BestCell,
}

/// Box regression loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BoxLoss {
    /// 1 minus the distance-IoU.
    #[default]
    Diou,
    /// The Huber loss of the box's edges, in fractions of the view. Small faces contribute little to it.
    Huber,
}

/// The optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerChoice {
    /// Orthogonal updates for the convolutions that combine channels, and AdamW for all other parameters.
    #[default]
    Muon,
    /// AdamW for all parameters.
    Adamw,
}

/// A device, written as `"auto"`, `"cpu"`, `"cuda"` or `"cuda:1"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// A GPU if there is one, otherwise the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU with this number.
    Cuda(u8),
}

impl JsonSchema for DeviceChoice {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DeviceChoice".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^(auto|cpu|cuda(:[0-9]{1,2})?)$"})
    }
}

impl TryFrom<String> for DeviceChoice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let gpu = |number: &str| number.parse().ok().filter(|&number| number < 64).map(Self::Cuda);
        let known = match text.as_str() {
            "auto" => Some(Self::Auto),
            "cpu" => Some(Self::Cpu),
            "cuda" => Some(Self::Cuda(0)),
            other => other.strip_prefix("cuda:").and_then(gpu),
        };
        known.ok_or_else(|| format!("unknown device {text:?}; use auto, cpu, cuda or cuda:N"))
    }
}

impl From<DeviceChoice> for String {
    fn from(device: DeviceChoice) -> Self {
        match device {
            DeviceChoice::Auto => "auto".to_owned(),
            DeviceChoice::Cpu => "cpu".to_owned(),
            DeviceChoice::Cuda(number) => format!("cuda:{number}"),
        }
    }
}
