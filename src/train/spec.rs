//! What a training job may be asked to do: every parameter, its default and its limits.

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::presets::{self, Preset};

/// Parameters of a fine-tuning job. Fields left out take their defaults; unknown fields are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
pub struct TrainSpec {
    /// Where the other parameters start from.
    #[garde(skip)]
    pub preset: Preset,
    /// Passes over the training pictures.
    #[garde(range(min = 1, max = 10_000))]
    pub epochs: u32,
    /// Views a step; 0 chooses from 8 to 64 by the number of pictures and epochs. Small batches learn more
    /// in few epochs, large ones are faster on a GPU.
    #[garde(range(max = 2048))]
    pub batch_size: u32,
    /// How weights follow their gradients.
    #[garde(skip)]
    pub optimizer: OptimizerChoice,
    /// Peak learning rate.
    #[garde(range(min = 1e-7, max = 1.0))]
    pub learning_rate: f64,
    /// Share of the peak at which the cosine schedule ends.
    #[garde(range(min = 0.0, max = 1.0))]
    pub final_learning_rate_ratio: f64,
    /// Epochs over which the learning rate rises linearly from zero.
    #[garde(range(min = 0.0, max = 100.0))]
    pub warmup_epochs: f64,
    /// Decoupled weight decay of the convolutions' weights.
    #[garde(range(min = 0.0, max = 1.0))]
    pub weight_decay: f64,
    /// Gradients are scaled down to this norm.
    #[garde(range(min = 0.001, max = 1e6))]
    pub gradient_clip_norm: f64,
    /// Decay a step of the exponential moving average that is evaluated and saved; 0 switches it off.
    #[garde(range(min = 0.0, max = 0.999_999))]
    pub ema_decay: f64,
    /// Fixes the views, their order and scratch weights. The same seed gives the same numbers on a CPU.
    #[garde(range(max = 9_007_199_254_740_991_u64))]
    pub seed: u64,
    /// Where the weights start.
    #[garde(skip)]
    pub init: Init,
    /// How BatchNorm is put back between the folded convolutions.
    #[garde(skip)]
    pub unfold: Unfold,
    /// Share of the untouched weights that is mixed into the result: `auto` keeps as much as wins back what
    /// fine-tuning forgot, `0` nothing. Any number from 0 to 1 will do.
    #[garde(custom(share))]
    pub retain: Retain,
    /// Leaves the keypoint rows of the two regressor heads as they were.
    #[garde(skip)]
    pub freeze_keypoint_heads: bool,
    /// Stops after this many epochs without a better `ap50`; 0 never stops early.
    #[garde(range(max = 10_000))]
    pub early_stopping_patience: u32,
    /// Where to train: `auto` takes a GPU where there is one.
    #[garde(skip)]
    pub device: DeviceChoice,
    /// How a training view is cut from a picture.
    #[garde(dive)]
    pub views: Views,
    /// How its colours are changed.
    #[garde(dive)]
    pub colours: Colours,
    /// The parts of the loss.
    #[garde(dive)]
    pub loss: Loss,
}

impl Default for TrainSpec {
    fn default() -> Self {
        Self {
            preset: Preset::Balanced,
            epochs: 12,
            batch_size: 0,
            optimizer: OptimizerChoice::Muon,
            learning_rate: 2e-3,
            final_learning_rate_ratio: 0.01,
            warmup_epochs: 0.5,
            weight_decay: 1e-4,
            gradient_clip_norm: 5.0,
            ema_decay: 0.998,
            seed: 0,
            init: Init::Mediapipe,
            unfold: Unfold::Calibrated,
            retain: Retain::Auto,
            freeze_keypoint_heads: false,
            early_stopping_patience: 0,
            device: DeviceChoice::Auto,
            views: Views::default(),
            colours: Colours::default(),
            loss: Loss::default(),
        }
    }
}

/// `"mediapipe"`, `"scratch"`, or the id of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "InitText", into = "InitText")]
pub enum Init {
    /// `MediaPipe`'s published weights.
    #[default]
    Mediapipe,
    /// Random weights.
    Scratch,
    /// An imported model or one trained here.
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
                {"type": "string", "format": "uuid", "description": "the id of a model"}
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

/// `"auto"`, or a number from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "RetainText", into = "RetainText")]
pub enum Retain {
    /// Chosen by the rule of [`super::retention`].
    #[default]
    Auto,
    /// This share of the untouched weights.
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
                {"const": 0.0, "description": "the tuned weights alone"},
                {"const": 0.15, "description": "a little"},
                {"const": 0.3, "description": "a third, about"},
                {"const": 0.5, "description": "half"},
                {"type": "number", "minimum": 0, "maximum": 1, "description": "another share"}
            ]
        })
    }
}

fn share(retain: &Retain, (): &()) -> garde::Result {
    match retain {
        Retain::Share(share) if !(0.0..=1.0).contains(share) => {
            Err(garde::Error::new("must be \"auto\" or a number from 0 to 1"))
        }
        Retain::Auto | Retain::Share(_) => Ok(()),
    }
}

/// How BatchNorm is put back between the folded convolutions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unfold {
    /// With the statistics of training pictures, so that training starts where the weights are.
    #[default]
    Calibrated,
    /// The published way: gamma 1, beta the bias, mean 0, variance 1.
    Identity,
    /// No BatchNorm: the folded convolutions are trained as they are.
    Folded,
}

/// How weights follow their gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerChoice {
    /// Orthogonal updates for the convolutions that mix channels, AdamW for the rest.
    #[default]
    Muon,
    /// AdamW for all.
    Adamw,
}

/// `"auto"`, `"cpu"`, `"cuda"` or `"cuda:1"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// A GPU where there is one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU of this number.
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

/// A training view is one affine cut of a picture, resized to the network's 128 pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
pub struct Views {
    /// Smallest share of the picture's longer side that a view shows; drawn log-uniformly.
    #[garde(range(min = 0.05, max = 4.0))]
    pub scale_min: f64,
    /// Largest share; above 1 the picture is shrunk into the view.
    #[garde(range(min = 0.05, max = 4.0), custom(at_least(self.scale_min)))]
    pub scale_max: f64,
    /// Share of the zooms (views of less than the picture) that are centred near a face.
    #[garde(range(min = 0.0, max = 1.0))]
    pub zoom_on_face: f64,
    /// Probability of a left-right flip.
    #[garde(range(min = 0.0, max = 1.0))]
    pub flip: f64,
    /// Views are turned by up to this angle either way.
    #[garde(range(min = 0.0, max = 45.0))]
    pub rotation_degrees: f64,
}

impl Default for Views {
    fn default() -> Self {
        Self {
            scale_min: 0.6,
            scale_max: 1.2,
            zoom_on_face: 0.7,
            flip: 0.5,
            rotation_degrees: 10.0,
        }
    }
}

fn at_least(minimum: f64) -> impl FnOnce(&f64, &()) -> garde::Result {
    move |value, ()| {
        if *value >= minimum {
            Ok(())
        } else {
            Err(garde::Error::new(format!("must not be below scale_min, which is {minimum}")))
        }
    }
}

/// Ranges of the colour changes of a view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
pub struct Colours {
    /// Brightness is multiplied by 1 plus or minus up to this.
    #[garde(range(min = 0.0, max = 0.9))]
    pub brightness: f64,
    /// As brightness, around the view's mean.
    #[garde(range(min = 0.0, max = 0.9))]
    pub contrast: f64,
    /// As brightness, around each pixel's grey.
    #[garde(range(min = 0.0, max = 0.9))]
    pub saturation: f64,
    /// Probability that a view loses its colours.
    #[garde(range(min = 0.0, max = 1.0))]
    pub grey: f64,
}

impl Default for Colours {
    fn default() -> Self {
        Self { brightness: 0.3, contrast: 0.3, saturation: 0.3, grey: 0.1 }
    }
}

/// Weights and shape of the loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
pub struct Loss {
    /// Weight of the scores' quality focal loss.
    #[garde(range(min = 0.0, max = 1000.0))]
    pub score_weight: f64,
    /// Weight of the boxes' distance-IoU loss.
    #[garde(range(min = 0.0, max = 1000.0))]
    pub box_weight: f64,
    /// Weight of the keypoints' distance from the untouched model's, on faces that one is sure of.
    /// Without it they drift as the backbone moves, and crops made from them turn.
    #[garde(range(min = 0.0, max = 1000.0))]
    pub keypoint_weight: f64,
    /// Exponent of the focal factor: how much easy anchors are ignored.
    #[garde(range(min = 0.0, max = 5.0))]
    pub focal_gamma: f64,
    /// Least score that an anchor is taught for its face; above it, the overlap of its box with the face's.
    #[garde(range(min = 0.0, max = 1.0))]
    pub min_quality: f64,
    /// Faces below this many pixels of the 128-pixel view are ignored: neither face nor background.
    #[garde(range(min = 0.0, max = 128.0))]
    pub min_face_px: f64,
}

impl Default for Loss {
    fn default() -> Self {
        Self {
            score_weight: 1.0,
            box_weight: 2.0,
            keypoint_weight: 2.0,
            focal_gamma: 2.0,
            min_quality: 0.5,
            min_face_px: 3.0,
        }
    }
}

/// One value of a spec that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// JSON pointer from the spec's root, such as `/views/scale_max`.
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

impl TrainSpec {
    /// Every value outside its limits.
    ///
    /// # Errors
    ///
    /// At least one [`Violation`].
    pub fn check(&self) -> Result<(), Vec<Violation>> {
        let Err(report) = self.validate() else { return Ok(()) };
        let violation = |(path, error): &(garde::Path, garde::Error)| Violation {
            pointer: format!("/{}", path.to_string().replace('.', "/")),
            detail: error.message().to_owned(),
        };
        Err(report.iter().map(violation).collect())
    }

    /// JSON Schema of the parameters, with defaults, limits and descriptions; `x-presets` says what each
    /// preset changes.
    pub fn schema() -> serde_json::Value {
        let mut schema = schemars::schema_for!(Self).to_value();
        schema["x-presets"] = presets::table();
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_defaults_are_within_their_own_limits() {
        assert_eq!(TrainSpec::default().check(), Ok(()));
    }

    #[test]
    fn every_violation_is_named_with_its_pointer() {
        let spec: TrainSpec =
            serde_json::from_value(json!({"epochs": 0, "views": {"scale_max": 0.1}})).unwrap();
        let violations = spec.check().unwrap_err();
        let pointers: Vec<_> = violations.iter().map(|v| v.pointer.as_str()).collect();
        assert_eq!(pointers, ["/epochs", "/views/scale_max"], "{violations:?}");
    }

    #[test]
    fn unknown_fields_are_refused() {
        let error = serde_json::from_value::<TrainSpec>(json!({"epoch": 3})).unwrap_err();
        assert!(error.to_string().contains("unknown field `epoch`"), "{error}");
    }

    #[test]
    fn init_and_device_read_as_they_are_written() {
        let id = "01970000-0000-7000-8000-000000000000";
        for (init, device) in [("mediapipe", "cpu"), ("scratch", "auto"), (id, "cuda:1")] {
            let value = json!({"init": init, "device": device});
            let spec: TrainSpec = serde_json::from_value(value).unwrap();
            let back = serde_json::to_value(&spec).unwrap();
            assert_eq!((&back["init"], &back["device"]), (&json!(init), &json!(device)));
        }
        assert!(serde_json::from_value::<TrainSpec>(json!({"device": "tpu"})).is_err());
        assert!(serde_json::from_value::<TrainSpec>(json!({"init": "imagenet"})).is_err());
    }

    #[test]
    fn the_schema_shows_limits_defaults_and_descriptions() {
        let schema = TrainSpec::schema();
        let epochs = &schema["properties"]["epochs"];
        assert_eq!((&epochs["minimum"], &epochs["maximum"]), (&json!(1), &json!(10_000)));
        assert_eq!(epochs["default"], json!(12));
        assert_eq!(epochs["description"], json!("Passes over the training pictures."));
    }
}
