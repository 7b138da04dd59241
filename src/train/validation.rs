//! Computes all metrics on the validation pictures.

use super::loss::native;
use super::views::pictures::{Entry, Pictures};
use super::views::{ViewFace, size_px};
use crate::eval::average_precision::{PictureResult, Ranking};
use crate::eval::detect;
use crate::eval::report::{DEFAULT_THRESHOLD, SEEN_PX};
use crate::eval::suppression::Detection;
use crate::model::anchors;
use crate::model::layout::{ANCHORS, INPUT_SIZE};
use crate::model::outputs::Outputs;
use crate::model::runner::Runner;
use crate::protocol::metrics::ValMetrics;
use crate::protocol::train_spec::Loss;

/// Detections below this score do not count towards average precision.
pub const MIN_SCORE: f32 = 0.02;
/// Pictures per batch.
pub(super) const BATCH: usize = 64;

/// A network's detections and metrics on the validation pictures.
#[derive(Debug)]
pub struct Validation {
    /// All metrics.
    pub metrics: ValMetrics,
    /// Each picture's detections, in the order of `Pictures::val`, as fractions of the network's square.
    pub detections: Vec<Vec<Detection>>,
}

/// Measures a network on the validation pictures.
///
/// * `reference`: the base model's detections, to measure how far the keypoints have moved.
/// * `beat`: called before every batch.
pub fn validate(
    runner: &Runner,
    pictures: &Pictures,
    loss: &Loss,
    reference: Option<&[Vec<Detection>]>,
    beat: &dyn Fn(),
) -> Validation {
    let (grid, centres) = (native::NativeGrid::default(), anchors::centres());
    let mut sums = Sums::default();
    let mut detections = Vec::with_capacity(pictures.val.len());
    for indices in pictures.val.chunks(BATCH) {
        beat();
        let entries: Vec<&Entry> = indices.iter().map(|&index| &pictures.entries[index]).collect();
        let size = runner.input_size();
        let outputs = runner.run(&pictures.inputs_of(size, indices)).rescaled(size);
        sums.add(&outputs, &entries, &grid, loss);
        detections.extend(detect::faces(&outputs, INPUT_SIZE, &centres, MIN_SCORE));
    }
    let mut metrics = sums.means();
    ranked(&mut metrics, pictures, &detections);
    metrics.keypoint_nme = reference.and_then(|reference| keypoint_drift(reference, &detections));
    Validation { metrics, detections }
}

/// Sums over batches, for the metrics that are averages over anchors.
#[derive(Debug, Default)]
struct Sums {
    /// Box, positive and background loss times the number of positives, then the positives' overlaps.
    parts: [f64; 4],
    positives: f64,
    positives_right: f64,
    background: f64,
    background_right: f64,
}

impl Sums {
    fn add(
        &mut self,
        outputs: &Outputs,
        entries: &[&Entry],
        grid: &native::NativeGrid,
        loss: &Loss,
    ) {
        let faces: Vec<Vec<ViewFace>> =
            entries.iter().map(|entry| view_faces(entry, loss.min_face_px as f32)).collect();
        let costs = native::costs(outputs.as_ref(), None, &faces, loss, grid, None);
        let count = costs.positives.max(1) as f64;
        let parts = [costs.boxes, costs.positive, costs.background];
        for (sum, value) in self.parts.iter_mut().zip(parts) {
            *sum += value * count;
        }
        self.parts[3] += costs.overlap();
        self.positives += costs.positives as f64;
        for (view, logits) in costs.views.iter().zip(outputs.logits.chunks_exact(ANCHORS)) {
            let high = |anchor: usize| logits[anchor] >= 0.0; // a score of at least 0.5
            let right = view.positives.iter().filter(|positive| high(positive.anchor)).count();
            self.positives_right += right as f64;
            let background = view.is_background();
            let background = (0..ANCHORS).filter(|&anchor| background[anchor]);
            self.background += background.clone().count() as f64;
            self.background_right += background.filter(|&anchor| !high(anchor)).count() as f64;
        }
    }

    fn means(&self) -> ValMetrics {
        let mean = |sum: f64, count: f64| (count > 0.0).then(|| sum / count);
        let part = |index: usize| self.parts[index] / self.positives.max(1.0);
        ValMetrics {
            loss: part(0) + part(1) + part(2),
            box_loss: part(0),
            positive: part(1),
            background: part(2),
            positive_accuracy: mean(self.positives_right, self.positives),
            background_accuracy: mean(self.background_right, self.background),
            val_iou: mean(self.parts[3], self.positives),
            ..ValMetrics::default()
        }
    }
}

fn view_faces(entry: &Entry, min_face_px: f32) -> Vec<ViewFace> {
    let face = |rect: &crate::geometry::Rect| ViewFace::new(*rect, size_px(rect) < min_face_px);
    entry.source.faces.iter().map(face).collect()
}

/// Returns each validation picture's detections and faces, as fractions of the network's square.
pub fn results(pictures: &Pictures, detections: &[Vec<Detection>]) -> Vec<PictureResult> {
    let result = |(&index, found): (&usize, &Vec<Detection>)| PictureResult {
        detections: found.iter().map(|face| (face.rect, face.score)).collect(),
        faces: pictures.entries[index].source.faces.clone(),
    };
    pictures.val.iter().zip(detections).map(result).collect()
}

/// Fills in the metrics that are computed from one ranking of all detections.
fn ranked(metrics: &mut ValMetrics, pictures: &Pictures, detections: &[Vec<Detection>]) {
    let ranking = Ranking::new(&results(pictures, detections), INPUT_SIZE as f32);
    let ap = |iou: f32, size: f32| ranking.curve(iou, size).average_precision();
    let all = ranking.curve(0.5, 0.0);
    metrics.ap50 = all.average_precision();
    let steps: Option<Vec<f64>> =
        (0..10u8).map(|step| ap(f32::from(step).mul_add(0.05, 0.5), 0.0)).collect();
    metrics.ap50_95 = steps.map(|steps| steps.iter().sum::<f64>() / steps.len() as f64);
    metrics.ap50_ge6 = ap(0.5, SEEN_PX);
    metrics.ap50_ge12 = ap(0.5, 12.0);
    metrics.ap50_ge24 = ap(0.5, 24.0);
    if let Some(at) = all.at(DEFAULT_THRESHOLD) {
        metrics.precision = Some(at.precision);
        metrics.recall = Some(at.recall);
        metrics.f1 = Some(at.f1);
    }
    let seen = ranking.curve(0.5, SEEN_PX);
    if let Some(best) = seen.best().or_else(|| all.best()) {
        metrics.best_threshold = Some(f64::from(best.threshold));
        metrics.best_f1 = Some(best.f1);
        metrics.best_precision = Some(best.precision);
        metrics.best_recall = Some(best.recall);
    }
}

/// Returns the mean distance of the keypoints from the reference's, divided by the face's width, over the faces that
/// both detect with a score of at least 0.5.
pub(super) fn keypoint_drift(
    reference: &[Vec<Detection>],
    detections: &[Vec<Detection>],
) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0.0);
    for (reference, detections) in reference.iter().zip(detections) {
        for face in reference.iter().filter(|face| face.score >= DEFAULT_THRESHOLD) {
            let same = |other: &&Detection| {
                other.score >= DEFAULT_THRESHOLD && face.rect.iou(&other.rect) >= 0.5
            };
            let Some(found) = detections.iter().find(same) else { continue };
            for (a, b) in face.keypoints.iter().zip(&found.keypoints) {
                let distance = (a[0] - b[0]).hypot(a[1] - b[1]);
                sum += f64::from(distance / face.rect.width().max(1e-6));
                count += 1.0;
            }
        }
    }
    (count > 0.0).then(|| sum / count)
}
