//! Parameters of a training job, with defaults and limits.

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod choices;
mod groups;
pub mod presets;

pub use choices::{
    Assignment, BoxLoss, DeviceChoice, Init, Monitor, OptimizerChoice, Retain, Schedule, Unfold,
};
pub use groups::{Colours, Loss, Unfreeze, Views};

use self::presets::Preset;
use choices::share;

/// Parameters of a training job. Missing fields take their default values; unknown fields are rejected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
pub struct TrainSpec {
    /// The preset that provides the other parameters' default values.
    #[garde(skip)]
    pub preset: Preset,
    /// Passes over the training pictures; 0 only measures and exports the initial weights.
    #[garde(range(max = 10_000))]
    pub epochs: u32,
    /// Views per batch. 0 chooses 8 to 64, or up to 256 on a GPU, based on the number of pictures and epochs. Small
    /// batches learn more in few epochs; large batches are faster on a GPU.
    #[garde(range(max = 2048))]
    pub batch_size: u32,
    /// Batches per optimizer step; their gradients are summed. More batches allow large steps with little memory.
    #[garde(range(min = 1, max = 1024))]
    pub accumulate_batches: u32,
    /// The optimizer.
    #[garde(skip)]
    pub optimizer: OptimizerChoice,
    /// Peak learning rate.
    #[garde(range(min = 1e-7, max = 1.0))]
    pub learning_rate: f64,
    /// How the learning rate changes after the warm-up.
    #[garde(skip)]
    pub schedule: Schedule,
    /// Final learning rate of the cosine and step schedules, as a share of the peak.
    #[garde(range(min = 0.0, max = 1.0))]
    pub final_learning_rate_ratio: f64,
    /// Epochs over which the learning rate rises linearly from zero.
    #[garde(range(min = 0.0, max = 100.0))]
    pub warmup_epochs: f64,
    /// Decoupled weight decay for the convolutions' weights.
    #[garde(range(min = 0.0, max = 1.0))]
    pub weight_decay: f64,
    /// Maximum norm of the gradient; larger gradients are scaled down to it. A small maximum gives all gradients
    /// the same norm.
    #[garde(range(min = 0.001, max = 1e6))]
    pub gradient_clip_norm: f64,
    /// Decay per step of the exponential moving average of the weights, which is evaluated and saved; 0 turns it off.
    #[garde(range(min = 0.0, max = 0.999_999))]
    pub ema_decay: f64,
    /// Seed for the views, their order and random initial weights. On a CPU, the same seed gives the same result,
    /// unless batches are normalised with their own statistics.
    #[garde(range(max = 9_007_199_254_740_991_u64))]
    pub seed: u64,
    /// The initial weights.
    #[garde(skip)]
    pub init: Init,
    /// How BatchNorm is unfolded from the convolutions.
    #[garde(skip)]
    pub unfold: Unfold,
    /// Share of the base model to mix into the result, from 0 to 1. `auto` measures several shares and chooses the
    /// largest that recovers what fine-tuning forgot and costs almost no accuracy.
    #[garde(custom(share))]
    pub retain: Retain,
    /// Shifts the result's scores so that 0.5, which is MediaPipe's default for `min_detection_confidence`, is the
    /// threshold to use. Without it, a fine-tuned model needs a lower threshold. Average precision stays the same.
    #[garde(skip)]
    pub calibrate_scores: bool,
    /// Freezes the keypoint rows of the two regressor heads.
    #[garde(skip)]
    pub freeze_keypoint_heads: bool,
    /// The metric that decides which epoch and which mix with the base model are best.
    #[garde(skip)]
    pub monitor: Monitor,
    /// Stops after this many epochs without an improvement in `monitor`; 0 never stops early.
    #[garde(range(max = 10_000))]
    pub early_stopping_patience: u32,
    /// The device to train on; `auto` uses a GPU if there is one.
    #[garde(skip)]
    pub device: DeviceChoice,
    /// How a training view is cut from a picture.
    #[garde(dive)]
    pub views: Views,
    /// How a view's colours are changed.
    #[garde(dive)]
    pub colours: Colours,
    /// Weights and settings of the loss.
    #[garde(dive)]
    pub loss: Loss,
    /// Staged unfreezing: parts of the network that start training later.
    #[garde(dive)]
    pub unfreeze: Unfreeze,
}

impl Default for TrainSpec {
    fn default() -> Self {
        Self {
            preset: Preset::Balanced,
            epochs: 12,
            batch_size: 0,
            accumulate_batches: 1,
            optimizer: OptimizerChoice::Muon,
            learning_rate: 3e-3,
            schedule: Schedule::Cosine,
            final_learning_rate_ratio: 0.01,
            warmup_epochs: 1.5,
            weight_decay: 1e-4,
            gradient_clip_norm: 0.3,
            ema_decay: 0.998,
            seed: 0,
            init: Init::Mediapipe,
            unfold: Unfold::Frozen,
            retain: Retain::Auto,
            calibrate_scores: true,
            freeze_keypoint_heads: false,
            monitor: Monitor::Ap50Ge6,
            early_stopping_patience: 0,
            device: DeviceChoice::Auto,
            views: Views::default(),
            colours: Colours::default(),
            loss: Loss::default(),
            unfreeze: Unfreeze::default(),
        }
    }
}

/// An invalid value in a spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// JSON pointer from the spec's root, such as `/views/scale_max`.
    pub pointer: String,
    /// What is wrong with the value.
    pub detail: String,
}

impl TrainSpec {
    /// Checks every value against its limits.
    ///
    /// # Errors
    ///
    /// One [`Violation`] for each invalid value.
    pub fn check(&self) -> Result<(), Vec<Violation>> {
        let report = self.validate().err();
        let violation = |(path, error): &(garde::Path, garde::Error)| Violation {
            pointer: format!("/{}", path.to_string().replace('.', "/")),
            detail: error.message().to_owned(),
        };
        let of_fields = report.iter().flat_map(garde::Report::iter).map(violation);
        let violations: Vec<Violation> = of_fields.chain(self.mixed_scratch()).collect();
        if violations.is_empty() { Ok(()) } else { Err(violations) }
    }

    /// Rejects mixing for scratch weights: weights that did not start from the base model cannot be mixed with it.
    fn mixed_scratch(&self) -> Option<Violation> {
        let is_mixed = matches!(self.retain, Retain::Share(share) if share > 0.0);
        (self.init == Init::Scratch && is_mixed).then(|| Violation {
            pointer: "/retain".to_owned(),
            detail: "must be 0 or \"auto\" if init is \"scratch\": random weights cannot be \
                     mixed with the base model"
                .to_owned(),
        })
    }

    /// Returns the JSON Schema of the parameters, with defaults, limits and descriptions. `x-presets` lists what each
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
    fn the_defaults_are_within_the_limits() {
        assert_eq!(TrainSpec::default().check(), Ok(()));
    }

    #[test]
    fn every_violation_has_a_pointer() {
        let spec: TrainSpec =
            serde_json::from_value(json!({"epochs": 20_000, "views": {"scale_max": 0.1}})).unwrap();
        let violations = spec.check().unwrap_err();
        let pointers: Vec<_> = violations.iter().map(|v| v.pointer.as_str()).collect();
        assert_eq!(pointers, ["/epochs", "/views/scale_max"], "{violations:?}");
    }

    #[test]
    fn scratch_weights_are_not_mixed_with_the_base_model() {
        let check = |params| serde_json::from_value::<TrainSpec>(params).unwrap().check();
        let violations = check(json!({"init": "scratch", "retain": 0.3})).unwrap_err();
        assert_eq!(violations[0].pointer, "/retain");
        for retain in [json!("auto"), json!(0)] {
            assert_eq!(check(json!({"init": "scratch", "retain": retain})), Ok(()));
        }
    }

    #[test]
    fn unknown_fields_are_rejected() {
        let error = serde_json::from_value::<TrainSpec>(json!({"epoch": 3})).unwrap_err();
        assert!(error.to_string().contains("unknown field `epoch`"), "{error}");
    }

    #[test]
    fn init_and_device_survive_a_round_trip() {
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
    fn the_schema_has_limits_defaults_and_descriptions() {
        let schema = TrainSpec::schema();
        let epochs = &schema["properties"]["epochs"];
        assert_eq!((&epochs["minimum"], &epochs["maximum"]), (&json!(0), &json!(10_000)));
        assert_eq!(epochs["default"], json!(12));
        let text =
            "Passes over the training pictures; 0 only measures and exports the initial weights.";
        assert_eq!(epochs["description"], json!(text));
    }
}
