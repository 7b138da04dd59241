//! Named starting points for a job's parameters.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A set of parameters that suits one kind of picture. Individual parameters override it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Faces of every size.
    #[default]
    Balanced,
    /// Many small faces: pictures are scaled down more, and none of the base model is mixed in.
    Crowd,
    /// One or two large faces, as in video calls: views zoom in more, and 30 % of the base model is mixed in.
    Selfie,
    /// The recipe of the only published trainer, for comparison. It makes the model worse on crowds.
    Published,
}

impl Preset {
    /// All presets.
    pub const ALL: [Self; 4] = [Self::Balanced, Self::Crowd, Self::Selfie, Self::Published];

    /// Returns the parameters that differ from the defaults.
    pub fn params(self) -> Value {
        match self {
            Self::Balanced => json!({}),
            Self::Crowd => json!({
                "retain": 0.0,
                "views": {"scale_min": 0.5, "scale_max": 1.6, "zoom_on_face": 0.9},
            }),
            Self::Selfie => json!({
                "retain": 0.3,
                "views": {"mosaic": 0.0, "scale_min": 0.4, "scale_max": 1.1, "zoom_on_face": 0.5, "rotation_degrees": 20.0},
                "loss": {"min_face_px": 12.0},
            }),
            Self::Published => published(),
        }
    }
}

/// Returns the parameters of <https://github.com/shameem4/trainable_blazeface>. Its focal loss weights faces by
/// 80 × 0.25 and background by 40 × 0.75. It stretches pictures to fit the input, whereas we letterbox them.
fn published() -> Value {
    json!({
        "batch_size": 32,
        "optimizer": "adamw",
        "learning_rate": 1e-4,
        "schedule": "constant",
        "warmup_epochs": 0.0,
        "gradient_clip_norm": 5.0,
        "ema_decay": 0.0,
        "unfold": "identity",
        "retain": 0.0,
        "freeze_keypoint_heads": true,
        "monitor": "loss",
        "views": {"scale_min": 1.0, "scale_max": 1.0, "zoom_on_face": 0.0, "mosaic": 0.0, "rotation_degrees": 0.0},
        "colours": {"brightness": 0.2, "contrast": 0.0, "saturation": 0.5, "grey": 0.0},
        "loss": {
            "assignment": "best_cell",
            "positive_weight": 20.0,
            "background_weight": 30.0,
            "hard_negatives": 1.5,
            "box_loss": "huber",
            "box_weight": 150.0,
            "keypoint_weight": 0.0,
            "teacher_weight": 0.0,
            "min_quality": 1.0,
            "min_face_px": 0.0,
        },
    })
}

/// Fills in the missing values of `params` from the preset that it names.
pub fn expand(params: &mut Value) {
    let Some(name) = params.get("preset") else { return };
    let Ok(preset) = Preset::deserialize(name) else { return }; // Parsing the spec rejects it.
    fill(params, preset.params());
}

fn fill(into: &mut Value, from: Value) {
    let (Some(into), Value::Object(from)) = (into.as_object_mut(), from) else { return };
    for (key, value) in from {
        match into.get_mut(&key) {
            Some(own) => fill(own, value),
            None => drop(into.insert(key, value)),
        }
    }
}

/// Returns `{"crowd": {…}, …}` for the schema.
pub fn table() -> Value {
    let entry =
        |preset: &Preset| (json!(preset).as_str().unwrap_or_default().to_owned(), preset.params());
    Value::Object(Preset::ALL.iter().map(entry).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::train_spec::{Retain, TrainSpec};

    fn spec(mut params: Value) -> TrainSpec {
        expand(&mut params);
        serde_json::from_value(params).unwrap()
    }

    #[test]
    fn every_preset_is_within_the_limits_and_balanced_is_the_default() {
        for preset in Preset::ALL {
            assert_eq!(spec(json!({"preset": preset})).check(), Ok(()), "{preset:?}");
        }
        assert_eq!(spec(json!({"preset": "balanced"})), TrainSpec::default());
    }

    #[test]
    fn explicit_parameters_override_a_preset() {
        let crowd = spec(json!({"preset": "crowd", "epochs": 3, "views": {"scale_max": 1.3}}));
        assert_eq!(
            (crowd.preset, crowd.epochs, crowd.retain),
            (Preset::Crowd, 3, Retain::Share(0.0))
        );
        assert_eq!((crowd.views.scale_min, crowd.views.scale_max), (0.5, 1.3));
    }
}
