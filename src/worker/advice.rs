//! Advice about a result, in plain language.

use serde::Serialize;

use crate::eval::report::SEEN_PX;
use crate::model::layout::{INPUT_SIZE, Variant};
use crate::protocol::metrics::ValMetrics;
use crate::protocol::score_shift::ScoreShift;
use crate::train::views::pictures::Pictures;

/// Advice in `card.json`.
#[derive(Debug, Serialize)]
pub struct Advice {
    /// The recommended `min_detection_confidence` for `MediaPipe`'s `FaceDetector`: 0.5 if the scores were shifted to
    /// make it so, otherwise the threshold with the best F1.
    pub threshold: Option<f64>,
    /// Share of the detections that are faces, at `threshold`.
    pub precision: Option<f64>,
    /// Share of the faces that are detected, at `threshold`.
    pub recall: Option<f64>,
    /// What the shift of the scores changes at a threshold of 0.5, or why there is no shift.
    pub scores: Option<String>,
    /// The expected change on pictures like those in the validation set.
    pub expected_change: String,
    /// How long the model takes to run.
    pub latency: &'static str,
}

impl Advice {
    /// Derives advice from the metrics of the base model and the result on the validation pictures.
    pub fn new(
        variant: Variant,
        baseline: Option<&ValMetrics>,
        result: &ValMetrics,
        shift: Option<&ScoreShift>,
        pictures: &Pictures,
    ) -> Self {
        let seen = pictures.val.iter().flat_map(|&index| &pictures.entries[index].source.faces);
        let side = |face: &crate::geometry::Rect| face.width().max(face.height());
        let faces = seen.filter(|face| side(face) * INPUT_SIZE as f32 >= SEEN_PX).count();
        let base = match variant {
            Variant::Short => "MediaPipe's model",
            Variant::Back => "the initial model",
        };
        let at = operating(result, shift);
        Self {
            threshold: at.map(|at| at.0),
            precision: at.map(|at| at.1),
            recall: at.map(|at| at.2),
            scores: shift.map(ScoreShift::sentence),
            expected_change: sentence(base, baseline, at, faces, pictures.val.len()),
            latency: "the same as the base model's, because the architecture is unchanged",
        }
    }
}

/// Returns the threshold to use, and the precision and the recall there.
fn operating(val: &ValMetrics, shift: Option<&ScoreShift>) -> Option<(f64, f64, f64)> {
    match shift.and_then(|shift| shift.figures) {
        Some(figures) => {
            Some((ScoreShift::THRESHOLD, figures.after.precision, figures.after.recall))
        }
        None => Some((val.best_threshold?, val.best_precision?, val.best_recall?)),
    }
}

fn sentence(
    base: &str,
    before: Option<&ValMetrics>,
    after: Option<(f64, f64, f64)>,
    faces: usize,
    pictures: usize,
) -> String {
    let before = before.and_then(|before| operating(before, None));
    let (Some(before), Some(after)) = (before, after) else {
        return "The validation pictures have no faces or no detections to compare.".to_owned();
    };
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    format!(
        "At a threshold of {:.2}, the new model finds {} of the {faces} faces of at least {SEEN_PX} \
         pixels in your {pictures} validation pictures, and {} of its detections are faces. At its \
         best threshold of {:.2}, {base} finds {} of these faces, and {} of its detections are faces.",
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
    fn the_advice_compares_the_result_with_the_base_model() {
        let val = |threshold, precision, recall| ValMetrics {
            best_threshold: Some(threshold),
            best_precision: Some(precision),
            best_recall: Some(recall),
            ..ValMetrics::default()
        };
        let text = sentence(
            "MediaPipe's model",
            Some(&val(0.5, 0.9, 0.2)),
            operating(&val(0.234, 0.8, 0.55), None),
            120,
            40,
        );
        assert_eq!(
            text,
            "At a threshold of 0.23, the new model finds 55 % of the 120 faces of at least 6 pixels \
             in your 40 validation pictures, and 80 % of its detections are faces. At its best \
             threshold of 0.50, MediaPipe's model finds 20 % of these faces, and 90 % of its \
             detections are faces."
        );
        let none = sentence("the initial model", None, None, 0, 4);
        assert_eq!(none, "The validation pictures have no faces or no detections to compare.");
    }
}
