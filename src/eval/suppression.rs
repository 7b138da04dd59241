//! `MediaPipe`'s weighted non-maximum suppression.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::geometry::{MIN_SUPPRESSION_IOU, Rect};

/// A face that a network found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DetectedFace")]
pub struct Detection {
    /// The box, in fractions of the picture (or of the network's square, before the letterbox is undone).
    #[serde(rename = "box")]
    pub rect: Rect,
    /// The score, 0..1.
    pub score: f32,
    /// `[x, y]` of the right eye, left eye, nose, mouth, right ear and left ear.
    pub keypoints: [[f32; 2]; 6],
}

/// Merges overlapping detections. The merged box and keypoints are means weighted by score, and the score is the
/// highest in the cluster. Returns the best detection first.
///
/// Source: `MediaPipe` `non_max_suppression_calculator.cc`, `WeightedNonMaxSuppression`.
pub fn suppress(mut detections: Vec<Detection>) -> Vec<Detection> {
    detections.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut faces = Vec::new();
    while let Some(best) = detections.first().copied() {
        let mut cluster = Vec::new();
        detections.retain(|other| {
            let is_same = best.rect.iou(&other.rect) > MIN_SUPPRESSION_IOU;
            if is_same {
                cluster.push(*other);
            }
            !is_same
        });
        // A box without area does not overlap itself, so it would stay in the list and the loop would never end.
        if cluster.is_empty() {
            faces.push(best);
            break;
        }
        faces.push(weighted_mean(best.score, &cluster));
    }
    faces
}

fn weighted_mean(score: f32, cluster: &[Detection]) -> Detection {
    let mut rect = [0.0; 4];
    let mut keypoints = [[0.0; 2]; 6];
    let total: f32 = cluster.iter().map(|member| member.score).sum();
    for member in cluster {
        let share = member.score / total;
        for (sum, value) in rect.iter_mut().zip(<[f32; 4]>::from(member.rect)) {
            *sum += value * share;
        }
        let values = member.keypoints.as_flattened();
        for (sum, value) in keypoints.as_flattened_mut().iter_mut().zip(values) {
            *sum += value * share;
        }
    }
    Detection { rect: rect.into(), score, keypoints }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detection(x: f32, score: f32) -> Detection {
        Detection { rect: Rect::around(x, 0.5, 0.2, 0.2), score, keypoints: [[x, 0.5]; 6] }
    }

    #[test]
    fn overlapping_detections_become_their_weighted_mean() {
        let faces = suppress(vec![detection(0.32, 0.2), detection(0.3, 0.6), detection(0.8, 0.4)]);
        assert_eq!(faces.len(), 2);
        assert_eq!(faces[0].score, 0.6);
        assert!((faces[0].rect.centre().0 - 0.305).abs() < 1e-6, "{faces:?}");
        assert!((faces[0].keypoints[3][0] - 0.305).abs() < 1e-6, "{faces:?}");
        assert_eq!(faces[1].score, 0.4);
    }

    #[test]
    fn a_box_without_area_does_not_cause_an_endless_loop() {
        let empty = Detection { rect: Rect::default(), score: 0.9, keypoints: [[0.0; 2]; 6] };
        assert_eq!(suppress(vec![empty, empty]).len(), 1);
    }
}
