//! Targets, losses and their gradients on a CPU: what [`super::torch`] does with tensors, view by view on
//! plain numbers. Only the anchors near a face are looked at for it, so that this costs next to nothing.

mod boxes;
mod scores;
mod targets;
mod teacher;

use rayon::prelude::*;

use crate::model::anchors;
use crate::model::layout::{ANCHORS, COORDINATES, INPUT_SIZE};
use crate::protocol::train_spec::Loss;
use crate::train::views::ViewFace;

/// Anchor centres and cells.
#[derive(Debug)]
pub struct Grid {
    centres: Vec<[f32; 2]>,
    cells: Vec<f32>,
}

impl Default for Grid {
    fn default() -> Self {
        Self { centres: anchors::centres(), cells: anchors::cells() }
    }
}

/// What a network says of one view or of several: `[N, 896]` and `[N, 896, 16]`.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// Logits.
    pub logits: &'a [f32],
    /// Coordinates.
    pub coordinates: &'a [f32],
}

impl<'a> Said<'a> {
    fn views(self) -> impl IndexedParallelIterator<Item = Said<'a>> {
        let coordinates = self.coordinates.par_chunks_exact(ANCHORS * COORDINATES);
        let logits = self.logits.par_chunks_exact(ANCHORS);
        logits.zip(coordinates).map(|(logits, coordinates)| Said { logits, coordinates })
    }

    /// The raw numbers of an anchor of one view.
    fn row(&self, anchor: usize) -> &'a [f32] {
        &self.coordinates[anchor * COORDINATES..][..COORDINATES]
    }

    /// The box of an anchor of one view: centre x, y, width, height as fractions of the view.
    fn found(&self, grid: &Grid, anchor: usize) -> [f32; 4] {
        let scaled = |index: usize| self.row(anchor)[index] / INPUT_SIZE as f32;
        let [x, y] = grid.centres[anchor];
        [scaled(0) + x, scaled(1) + y, scaled(2), scaled(3)]
    }
}

/// An anchor that is to find a face, and what that costs.
#[derive(Debug, Clone, Copy)]
pub struct Positive {
    /// Which anchor of the view.
    pub anchor: usize,
    /// Which of the view's faces to be learnt.
    pub face: usize,
    /// The face's width, as a fraction of the view.
    pub width: f32,
    /// Overlap of its box with the face's.
    pub overlap: f32,
    /// Its share of the box loss.
    pub box_loss: f32,
    /// Its share of the loss of scores.
    pub score_loss: f32,
}

/// One view's part of the costs.
#[derive(Debug, Clone, Default)]
pub struct ViewCosts {
    /// By anchor.
    pub positives: Vec<Positive>,
    /// Which anchors must not be punished, near ignored faces.
    pub ignored: Vec<bool>,
    /// What each anchor costs as background.
    pub background: Vec<f32>,
}

/// What a batch costs, and the gradients of that.
#[derive(Debug, Default)]
pub struct Costs {
    /// All of it.
    pub total: f64,
    /// Boxes at positive anchors.
    pub boxes: f64,
    /// Scores at positive anchors.
    pub positive: f64,
    /// Scores at background anchors.
    pub background: f64,
    /// Positive anchors.
    pub positives: usize,
    /// View by view.
    pub views: Vec<ViewCosts>,
    /// `[N, 896]`: gradient of the logits.
    pub logits: Vec<f32>,
    /// `[N, 896, 16]`: gradient of the coordinates.
    pub coordinates: Vec<f32>,
}

/// Assigns targets and adds up what the outputs cost.
///
/// * `reference`: what the untouched network says, where the outputs are held to it.
/// * `faces`: of each view.
pub fn costs(
    said: Said<'_>,
    reference: Option<Said<'_>>,
    faces: &[Vec<ViewFace>],
    loss: &Loss,
    grid: &Grid,
) -> Costs {
    let learnt: Vec<Vec<&ViewFace>> = faces.iter().map(|all| learnt(all)).collect();
    let assigned = said.views().zip(&learnt).zip(faces).map(|((said, learnt), all)| {
        let positives = targets::positives(loss.assignment, &said, learnt, grid);
        (positives, targets::near_ignored(all, grid))
    });
    let assigned: Vec<_> = assigned.collect();
    let positives: usize = assigned.iter().map(|(positives, _)| positives.len()).sum();
    let count = positives.max(1) as f64;
    let weights = scores::Weights::new(loss, count, faces.len());

    let mut logits = vec![0.0; said.logits.len()];
    let mut coordinates = vec![0.0; said.coordinates.len()];
    let gradients = logits
        .par_chunks_exact_mut(ANCHORS)
        .zip(coordinates.par_chunks_exact_mut(ANCHORS * COORDINATES));
    let views = said.views().zip(gradients).zip(assigned).zip(&learnt).map(
        |(((said, (logits, coordinates)), (positives, ignored)), learnt)| {
            let targets = targets::targets(&positives, learnt);
            let mut view = ViewCosts { positives, ignored, background: Vec::new() };
            boxes::add(&said, grid, &targets, loss, count, &mut view.positives, coordinates);
            scores::add(&said, loss, &weights, &mut view, logits);
            view
        },
    );
    let views: Vec<ViewCosts> = views.collect();
    let mut costs = Costs { positives, views, logits, coordinates, ..Costs::default() };
    costs.add_up();
    if let Some(reference) = reference {
        let more = teacher::add(said, reference, &learnt, loss, grid, &mut costs);
        costs.total += more;
    }
    costs
}

impl ViewCosts {
    /// Which anchors are background: neither near an ignored face nor to find one.
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

    /// Mean overlap's numerator: the sum over the positive anchors.
    pub fn overlap(&self) -> f64 {
        let positives = self.views.iter().flat_map(|view| &view.positives);
        positives.map(|positive| f64::from(positive.overlap)).sum()
    }
}

/// Faces that are not ignored.
pub fn learnt(faces: &[ViewFace]) -> Vec<&ViewFace> {
    faces.iter().filter(|face| !face.ignored).collect()
}

/// A face's box: centre x, y, width, height.
fn truth(face: &ViewFace) -> [f32; 4] {
    let (x, y) = face.rect.centre();
    [x, y, face.rect.width(), face.rect.height()]
}

#[cfg(test)]
mod tests;
