//! Advice about a result, in sentences.

use serde::Serialize;

use crate::eval::report::SEEN_PX;
use crate::model::layout::{INPUT_SIZE, Variant};
use crate::protocol::metrics::ValMetrics;
use crate::train::views::pictures::Pictures;

/// Advice in `card.json`.
#[derive(Debug, Serialize)]
pub struct Advice {
    /// For `min_detection_confidence` of `MediaPipe`'s `FaceDetector`: where F1 is best.
    pub threshold: Option<f64>,
    /// At that score, the share of detections that are faces.
    pub precision: Option<f64>,
    /// At that score, the share of faces that are found.
    pub recall: Option<f64>,
    /// What to expect on pictures like those of the validation set.
    pub expected_change: String,
    /// How long the model takes to run.
    pub latency: &'static str,
}

impl Advice {
    /// Makes advice from what the base model and the result measured on the validation pictures.
    pub fn new(
        variant: Variant,
        baseline: Option<&ValMetrics>,
        result: &ValMetrics,
        pictures: &Pictures,
    ) -> Self {
        let seen = pictures.val.iter().flat_map(|&index| &pictures.entries[index].source.faces);
        let side = |face: &crate::geometry::Rect| face.width().max(face.height());
        let faces = seen.filter(|face| side(face) * INPUT_SIZE as f32 >= SEEN_PX).count();
        let base = match variant {
            Variant::Short => "MediaPipe's own model",
            Variant::Back => "the model it began with",
        };
        Self {
            threshold: result.best_threshold,
            precision: result.best_precision,
            recall: result.best_recall,
            expected_change: sentence(base, baseline, result, faces, pictures.val.len()),
            latency: "the network has the same shape, so it takes as long as the base model",
        }
    }
}

fn sentence(
    base: &str,
    before: Option<&ValMetrics>,
    after: &ValMetrics,
    faces: usize,
    pictures: usize,
) -> String {
    let figures =
        |val: &ValMetrics| Some((val.best_threshold?, val.best_precision?, val.best_recall?));
    let (Some(before), Some(after)) = (before.and_then(figures), figures(after)) else {
        return "There are no faces in the validation pictures to measure with.".to_owned();
    };
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    format!(
        "At a threshold of {:.2} it finds {} of the {faces} faces of at least {SEEN_PX} pixels in your {pictures} \
         validation pictures, and {} of what it reports are faces; {base}, at its best threshold of {:.2}, finds {} of them and is right in {}.",
        after.0,
        percent(after.2),
        percent(after.1),
        before.0,
        percent(before.2),
        percent(before.1),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_states_the_change_in_one_sentence() {
        let val = |threshold, precision, recall| ValMetrics {
            best_threshold: Some(threshold),
            best_precision: Some(precision),
            best_recall: Some(recall),
            ..ValMetrics::default()
        };
        let text = sentence(
            "MediaPipe's own model",
            Some(&val(0.5, 0.9, 0.2)),
            &val(0.234, 0.8, 0.55),
            120,
            40,
        );
        assert_eq!(
            text,
            "At a threshold of 0.23 it finds 55 % of the 120 faces of at least 6 pixels in your 40 validation \
             pictures, and 80 % of what it reports are faces; MediaPipe's own model, at its best threshold of 0.50, \
             finds 20 % of them and is right in 90 %."
        );
        let none = sentence("the model it began with", None, &ValMetrics::default(), 0, 4);
        assert_eq!(none, "There are no faces in the validation pictures to measure with.");
    }
}
