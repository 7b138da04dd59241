//! Parameters that belong together.

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::choices::{Assignment, BoxLoss};

/// A training view is one affine cut of a picture, resized to the network's 128 pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
pub struct Views {
    /// Smallest share of the picture's longer side that a view shows; drawn log-uniformly.
    #[garde(range(min = 0.05, max = 4.0))]
    pub scale_min: f64,
    /// Largest share; above 1, the picture is shrunk into the view.
    #[garde(range(min = 0.05, max = 4.0), custom(at_least(self.scale_min)))]
    pub scale_max: f64,
    /// Share of the zooms (views of part of the picture) that are centred near a face.
    #[garde(range(min = 0.0, max = 1.0))]
    pub zoom_on_face: f64,
    /// Share of the views that are mosaics: four pictures side by side, each at half the size. They show
    /// more and smaller faces at once.
    #[garde(range(min = 0.0, max = 1.0))]
    pub mosaic: f64,
    /// Probability of a left-right flip.
    #[garde(range(min = 0.0, max = 1.0))]
    pub flip: f64,
    /// Views are rotated by up to this angle, either way.
    #[garde(range(min = 0.0, max = 45.0))]
    pub rotation_degrees: f64,
}

impl Default for Views {
    fn default() -> Self {
        Self {
            scale_min: 0.6,
            scale_max: 1.2,
            zoom_on_face: 0.7,
            mosaic: 0.5,
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
    /// Like brightness, around the view's mean.
    #[garde(range(min = 0.0, max = 0.9))]
    pub contrast: f64,
    /// Like brightness, around each pixel's grey.
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
    /// How faces are assigned to anchors.
    #[garde(skip)]
    pub assignment: Assignment,
    /// Weight of the quality focal loss of scores at positive anchors.
    #[garde(range(min = 0.0, max = 1000.0))]
    pub positive_weight: f64,
    /// Weight of the quality focal loss of scores at background anchors.
    #[garde(range(min = 0.0, max = 1000.0))]
    pub background_weight: f64,
    /// Hard negatives: background anchors with the highest scores that count, per positive anchor, at least ten per
    /// view. 0 takes all.
    #[garde(range(min = 0.0, max = 1000.0))]
    pub hard_negatives: f64,
    /// Box regression loss.
    #[garde(skip)]
    pub box_loss: BoxLoss,
    /// Weight of the box regression loss.
    #[garde(range(min = 0.0, max = 1000.0))]
    pub box_weight: f64,
    /// Weight of the keypoints' distance from their labels, if the data set has any, or else from the base model's
    /// keypoints on faces that it is sure of. Without it, keypoints drift as the backbone changes, and crops made from
    /// them turn.
    #[garde(range(min = 0.0, max = 1000.0))]
    pub keypoint_weight: f64,
    /// Weight of the teacher: the distance of scores and boxes from the base model's, on faces that it is sure of. A
    /// little preserves large faces; 1 is for models that will meet pictures unlike those they train on, and costs
    /// small faces.
    #[garde(range(min = 0.0, max = 1000.0))]
    pub teacher_weight: f64,
    /// Exponent of the focal factor: how strongly easy anchors are ignored.
    #[garde(range(min = 0.0, max = 5.0))]
    pub focal_gamma: f64,
    /// Lowest target score of a positive anchor; above it, the target is the overlap of its box with the face's.
    #[garde(range(min = 0.0, max = 1.0))]
    pub min_quality: f64,
    /// Faces below this many pixels of the 128-pixel view are ignored: neither face nor background.
    #[garde(range(min = 0.0, max = 128.0))]
    pub min_face_px: f64,
}

impl Default for Loss {
    fn default() -> Self {
        Self {
            assignment: Assignment::Dynamic,
            positive_weight: 1.0,
            background_weight: 1.0,
            hard_negatives: 0.0,
            box_loss: BoxLoss::Diou,
            box_weight: 2.0,
            keypoint_weight: 4.0,
            teacher_weight: 0.1,
            focal_gamma: 2.0,
            min_quality: 0.5,
            min_face_px: 3.0,
        }
    }
}

/// Staged unfreezing: first the heads alone, then the second backbone too, then everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
pub struct Unfreeze {
    /// Epochs in which only the heads train.
    #[garde(range(max = 10_000))]
    pub heads_epochs: u32,
    /// Share of the learning rate in these epochs.
    #[garde(range(min = 0.0, max = 10.0))]
    pub heads_rate: f64,
    /// Further epochs in which the second backbone trains too.
    #[garde(range(max = 10_000))]
    pub second_backbone_epochs: u32,
    /// Share of the learning rate in these epochs.
    #[garde(range(min = 0.0, max = 10.0))]
    pub second_backbone_rate: f64,
}

impl Default for Unfreeze {
    fn default() -> Self {
        Self {
            heads_epochs: 0,
            heads_rate: 1.0,
            second_backbone_epochs: 0,
            second_backbone_rate: 1.0,
        }
    }
}
