//! Targets, losses and gradients on the CPU. This module computes the same losses as `loss::torch`, but one view at a
//! time and without tensors. Assignment is fast because a face's only candidates are the anchors near it.

mod boxes;
mod counts;
mod scores;
mod targets;
mod teacher;

use rayon::prelude::*;

pub use counts::StepCounts;

use crate::model::anchors;
use crate::model::layout::{ANCHORS, COORDINATES, INPUT_SIZE};
use crate::model::outputs::OutputsRef;
use crate::protocol::train_spec::Loss;
use crate::train::views::ViewFace;

/// The centres and cell sizes of all anchors, as fractions of the view.
#[derive(Debug)]
pub struct NativeGrid {
    centres: Vec<[f32; 2]>,
    cells: Vec<f32>,
}

impl Default for NativeGrid {
    fn default() -> Self {
        Self { centres: anchors::centres(), cells: anchors::cells() }
    }
}

impl NativeGrid {
    /// Decodes an anchor's box into centre x, y, width, height, as fractions of the view. Requires the outputs of a
    /// single view.
    fn decode(&self, outputs: &OutputsRef<'_>, anchor: usize) -> [f32; 4] {
        let scaled = |index: usize| outputs.row(anchor)[index] / INPUT_SIZE as f32;
        let [x, y] = self.centres[anchor];
        [scaled(0) + x, scaled(1) + y, scaled(2), scaled(3)]
    }
}

/// A positive anchor and its loss.
#[derive(Debug, Clone, Copy)]
pub struct Positive {
    /// The anchor's index in the view.
    pub anchor: usize,
    /// Index of the anchor's face among the view's faces to learn.
    pub face: usize,
    /// The face's width, as a fraction of the view.
    pub width: f32,
    /// IoU of the predicted box and the face's box.
    pub overlap: f32,
    /// The anchor's part of the box loss.
    pub box_loss: f32,
    /// The anchor's part of the score loss.
    pub score_loss: f32,
}

/// One view's part of the loss.
#[derive(Debug, Clone, Default)]
pub struct ViewCosts {
    /// The positive anchors, ordered by index.
    pub positives: Vec<Positive>,
    /// For each anchor, whether it is near an ignored face and therefore never background.
    pub ignored: Vec<bool>,
    /// Background loss of each anchor; 0 for an anchor that does not count as background.
    pub background: Vec<f32>,
}

/// The loss of a batch and its gradients.
#[derive(Debug, Default)]
pub struct Costs {
    /// Total loss.
    pub total: f64,
    /// Box loss at positive anchors.
    pub boxes: f64,
    /// Score loss at positive anchors.
    pub positive: f64,
    /// Score loss at background anchors.
    pub background: f64,
    /// Number of positive anchors in the batch.
    pub positives: usize,
    /// The counts that the loss was divided by.
    pub counts: StepCounts,
    /// The loss of each view.
    pub views: Vec<ViewCosts>,
    /// `[N, 896]`: gradient of the logits.
    pub logits: Vec<f32>,
    /// `[N, 896, 16]`: gradient of the coordinates.
    pub coordinates: Vec<f32>,
}

/// Computes the loss of a batch and its gradient with respect to the outputs.
///
/// * `base`: the base model's outputs, if it is the teacher.
/// * `faces`: the faces of each view.
/// * `step`: the counts of the whole step, to divide by; `None` divides by the batch's counts.
pub fn costs(
    outputs: OutputsRef<'_>,
    base: Option<OutputsRef<'_>>,
    faces: &[Vec<ViewFace>],
    loss: &Loss,
    grid: &NativeGrid,
    step: Option<StepCounts>,
) -> Costs {
    let learnt: Vec<Vec<&ViewFace>> = faces.iter().map(|all| learnt(all)).collect();
    let assigned = Assigned::new(outputs, base, faces, &learnt, loss, grid);
    let counts = step.unwrap_or(assigned.counts);
    let weights = scores::ScoreWeights::new(loss, &counts);

    let mut logits = vec![0.0; outputs.logits.len()];
    let mut coordinates = vec![0.0; outputs.coordinates.len()];
    let gradients = logits
        .par_chunks_exact_mut(ANCHORS)
        .zip(coordinates.par_chunks_exact_mut(ANCHORS * COORDINATES));
    let views = outputs.each().zip(gradients).zip(assigned.views).zip(&learnt).map(
        |(((outputs, (logits, coordinates)), mut view), learnt)| {
            let targets = targets::targets(&view.positives, learnt);
            let count = counts.positives.max(1) as f64;
            boxes::add(&outputs, grid, &targets, loss, count, &mut view.positives, coordinates);
            scores::add(&outputs, loss, &weights, &mut view, logits);
            view
        },
    );
    let views: Vec<ViewCosts> = views.collect();
    let positives = assigned.counts.positives;
    let mut costs = Costs { positives, counts, views, logits, coordinates, ..Costs::default() };
    costs.add_up();
    if let Some(base) = base {
        costs.total +=
            teacher::add(outputs, base, &assigned.keypoints, loss, grid, &counts, &mut costs);
    }
    costs
}

/// Returns a batch's counts, including those for the teacher; see [`costs`].
pub fn count(
    outputs: OutputsRef<'_>,
    base: OutputsRef<'_>,
    faces: &[Vec<ViewFace>],
    loss: &Loss,
    grid: &NativeGrid,
) -> StepCounts {
    let learnt: Vec<Vec<&ViewFace>> = faces.iter().map(|all| learnt(all)).collect();
    Assigned::new(outputs, Some(base), faces, &learnt, loss, grid).counts
}

/// A batch's targets.
struct Assigned {
    /// The positive and ignored anchors of each view. Their losses are not computed yet.
    views: Vec<ViewCosts>,
    /// Keypoints of each view's faces to learn, if the base model is the teacher.
    keypoints: Vec<Vec<teacher::Points>>,
    counts: StepCounts,
}

impl Assigned {
    fn new(
        outputs: OutputsRef<'_>,
        base: Option<OutputsRef<'_>>,
        faces: &[Vec<ViewFace>],
        learnt: &[Vec<&ViewFace>],
        loss: &Loss,
        grid: &NativeGrid,
    ) -> Self {
        let views = outputs.each().zip(learnt).zip(faces).map(|((outputs, learnt), all)| {
            let positives = targets::positives(loss.assignment, &outputs, learnt, grid);
            ViewCosts { positives, ignored: targets::near_ignored(all, grid), background: vec![] }
        });
        let views: Vec<ViewCosts> = views.collect();
        let keypoints = base.map_or_else(Vec::new, |base| teacher::known(base, learnt, grid));
        let counts = StepCounts {
            views: faces.len(),
            faces: learnt.iter().map(Vec::len).sum(),
            positives: views.iter().map(|view| view.positives.len()).sum(),
            keypoints: views.iter().zip(&keypoints).map(|(v, k)| teacher::count(v, k)).sum(),
            sure: base.map_or(0, |base| teacher::sure(base)),
        };
        Self { views, keypoints, counts }
    }
}

impl ViewCosts {
    /// Returns which anchors are background: neither positive nor near an ignored face.
    pub fn is_background(&self) -> Vec<bool> {
        let mut background: Vec<bool> = self.ignored.iter().map(|ignored| !ignored).collect();
        self.positives.iter().for_each(|positive| background[positive.anchor] = false);
        background
    }
}

impl Costs {
    fn add_up(&mut self) {
        for view in &self.views {
            for positive in &view.positives {
                self.boxes += f64::from(positive.box_loss);
                self.positive += f64::from(positive.score_loss);
            }
            self.background += view.background.iter().map(|&cost| f64::from(cost)).sum::<f64>();
        }
        self.total = self.boxes + self.positive + self.background;
    }

    /// Returns the sum of the positive anchors' IoU values.
    pub fn overlap(&self) -> f64 {
        let positives = self.views.iter().flat_map(|view| &view.positives);
        positives.map(|positive| f64::from(positive.overlap)).sum()
    }
}

/// Returns the faces to learn: those that are not ignored.
pub fn learnt(faces: &[ViewFace]) -> Vec<&ViewFace> {
    faces.iter().filter(|face| !face.ignored).collect()
}

/// Returns a face's box as centre x, y, width, height.
fn truth(face: &ViewFace) -> [f32; 4] {
    let (x, y) = face.rect.centre();
    [x, y, face.rect.width(), face.rect.height()]
}

#[cfg(all(test, feature = "torch"))]
mod tests;
