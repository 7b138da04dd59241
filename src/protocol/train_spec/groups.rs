//! Groups of related parameters.

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::choices::{Assignment, BoxLoss};

/// Settings for training views. A view is an affine cut of a picture, resized to the network's input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
pub struct Views {
    /// Smallest share of the picture's longer side that a view shows. Shares are drawn log-uniformly.
    #[garde(range(min = 0.05, max = 4.0))]
    pub scale_min: f64,
    /// Largest share; above 1, the picture fills only part of the view.
    #[garde(range(min = 0.05, max = 4.0), custom(at_least(self.scale_min)))]
    pub scale_max: f64,
    /// Probability that a view of only part of a picture is centred near a face.
    #[garde(range(min = 0.0, max = 1.0))]
    pub zoom_on_face: f64,
    /// Share of the views that are mosaics: four pictures in a two-by-two grid, each at half size. Mosaics show more
    /// and smaller faces.
    #[garde(range(min = 0.0, max = 1.0))]
    pub mosaic: f64,
    /// Probability of a horizontal flip.
    #[garde(range(min = 0.0, max = 1.0))]
    pub flip: f64,
    /// Largest rotation of a view in either direction, in degrees.
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

/// Ranges of the random changes to a view's colours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
pub struct Colours {
    /// Largest change in brightness: 0.3 multiplies brightness by a random factor from 0.7 to 1.3.
    #[garde(range(min = 0.0, max = 0.9))]
    pub brightness: f64,
    /// Largest change in contrast, relative to the view's mean.
    #[garde(range(min = 0.0, max = 0.9))]
    pub contrast: f64,
    /// Largest change in saturation, relative to each pixel's grey.
    #[garde(range(min = 0.0, max = 0.9))]
    pub saturation: f64,
    /// Probability that a view becomes greyscale.
    #[garde(range(min = 0.0, max = 1.0))]
    pub grey: f64,
}

impl Default for Colours {
    fn default() -> Self {
        Self { brightness: 0.3, contrast: 0.3, saturation: 0.3, grey: 0.1 }
    }
}

/// Weights and settings of the loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
pub struct Loss {
    /// How anchors are assigned to faces.
    #[garde(skip)]
    pub assignment: Assignment,
    /// Weight of the quality focal loss of the scores at positive anchors.
    #[garde(range(min = 0.0, max = 1000.0))]
    pub positive_weight: f64,
    /// Weight of the quality focal loss of the scores at background anchors.
    #[garde(range(min = 0.0, max = 1000.0))]
    pub background_weight: f64,
    /// Number of background anchors that the loss uses for each positive anchor: those with the highest scores, and at
    /// least ten per view. 0 uses all.
    #[garde(range(min = 0.0, max = 1000.0))]
    pub hard_negatives: f64,
    /// Box regression loss.
    #[garde(skip)]
    pub box_loss: BoxLoss,
    /// Weight of the box regression loss.
    #[garde(range(min = 0.0, max = 1000.0))]
    pub box_weight: f64,
    /// Weight of the keypoints' distance from their labels. Keypoints without a label are compared with the base
    /// model's if the base model detects the face with a score of at least 0.5. At a weight of 0, keypoints drift as
    /// the backbone changes, and crops aligned to them rotate.
    #[garde(range(min = 0.0, max = 1000.0))]
    pub keypoint_weight: f64,
    /// Weight of the teacher loss: the distance of scores and boxes from the base model's, at anchors that the base
    /// model scores at least 0.5. A small weight preserves large faces. A weight of 1 suits models that will see
    /// pictures unlike their training pictures, but these models detect fewer small faces.
    #[garde(range(min = 0.0, max = 1000.0))]
    pub teacher_weight: f64,
    /// Exponent of the focal factor; larger values give easy anchors less weight.
    #[garde(range(min = 0.0, max = 5.0))]
    pub focal_gamma: f64,
    /// Minimum target score of a positive anchor. Above it, the target is the IoU of the anchor's box with the face.
    #[garde(range(min = 0.0, max = 1.0))]
    pub min_quality: f64,
    /// Faces smaller than this, in pixels of the 128-pixel view, count neither as faces nor as background.
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

/// Staged unfreezing: first only the heads train, then the second backbone as well, then everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
pub struct Unfreeze {
    /// Epochs in which only the heads train.
    #[garde(range(max = 10_000))]
    pub heads_epochs: u32,
    /// Learning rate in these epochs, as a multiple of the scheduled rate.
    #[garde(range(min = 0.0, max = 10.0))]
    pub heads_rate: f64,
    /// Further epochs in which the second backbone trains as well.
    #[garde(range(max = 10_000))]
    pub second_backbone_epochs: u32,
    /// Learning rate in these epochs, as a multiple of the scheduled rate.
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
