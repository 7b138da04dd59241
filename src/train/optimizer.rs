//! The optimizer's rules for each parameter, shared by the native engine and libtorch.
//!
//! `AdamW` (Loshchilov & Hutter, <https://arxiv.org/abs/1711.05101>) updates one flat vector. Muon
//! (<https://arxiv.org/abs/2502.16982>) updates the matrices in it, the convolutions that combine channels. Muon makes
//! a matrix's update orthogonal, so that every direction moves by the same amount, not just the few that dominate the
//! gradient. The update is scaled like `AdamW`'s, so that one learning rate serves both.

use crate::model::layout::{COORDINATES, Layout, Role};
use crate::model::slots::{Form, slots};
use crate::protocol::schedule::TrainedPart;
use crate::protocol::train_spec::OptimizerChoice;

pub(super) const BETA1: f64 = 0.9;
pub(super) const BETA2: f64 = 0.999;
pub(super) const EPSILON: f64 = 1e-8;
/// Added to a gradient's norm before dividing by it.
pub(super) const NORM_EPSILON: f64 = 1e-6;

/// Number of Newton–Schulz iterations, and their coefficients. Source: <https://kellerjordan.github.io/posts/muon/>.
pub(super) const ITERATIONS: usize = 5;
pub(super) const COEFFICIENTS: [f32; 3] = [3.4445, -4.7750, 2.0315];
/// Typical root mean square of `AdamW`'s updates; Muon's updates are scaled to match.
const ADAM_SIZE: f64 = 0.2;

/// The settings of one optimizer step.
#[derive(Debug, Clone, Copy)]
pub struct Update {
    /// The step's number, from 1.
    pub step: u64,
    /// Learning rate.
    pub rate: f64,
    /// Decay of the moving average, 0..1.
    pub ema_decay: f64,
}

/// A matrix in the flat vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matrix {
    /// Index of the first number.
    pub start: usize,
    /// Number of outputs.
    pub rows: usize,
    /// Number of inputs times the number of the kernel's pixels.
    pub columns: usize,
}

impl Matrix {
    /// Returns the factor that scales an orthogonal update of the matrix.
    pub(super) fn size(&self) -> f64 {
        ADAM_SIZE * (self.rows.max(self.columns) as f64).sqrt()
    }
}

/// Returns the matrices that Muon updates: the convolutions that combine channels, except the score heads. Each row of
/// a score head belongs to one anchor, and anchors should not all move equally far.
pub(super) fn matrices(choice: OptimizerChoice, layout: &Layout, form: Form) -> Vec<Matrix> {
    if choice == OptimizerChoice::Adamw {
        return Vec::new();
    }
    let convs = layout.convs();
    let all = convs.iter().zip(slots(layout, form));
    let mixing = all.filter(|(conv, _)| conv.shape[1] > 1 && conv.shape[0] >= COORDINATES);
    let matrix = |(conv, slot): (&crate::model::layout::Conv, crate::model::slots::Slot)| Matrix {
        start: slot.weight.start,
        rows: conv.shape[0],
        columns: slot.weight.len() / conv.shape[0],
    };
    mixing.map(matrix).collect()
}

/// Returns `[P]`: 1 for the convolutions' weights, 0 for biases and BatchNorm, which weight decay would only distort.
pub(super) fn decays(layout: &Layout, form: Form) -> Vec<f32> {
    let slots = slots(layout, form);
    let mut decays = vec![0.0; slots.last().map_or(0, |slot| slot.shift.end)];
    for slot in slots {
        decays[slot.weight].fill(1.0);
    }
    decays
}

/// Returns the index of the first convolution in a trained part of the network; all later convolutions train too.
pub(super) fn first_trained(layout: &Layout, part: TrainedPart) -> usize {
    let heads = || layout.convs().iter().take_while(|conv| conv.role != Role::Head).count();
    match part {
        TrainedPart::All => 0,
        TrainedPart::SecondBackbone => 1 + 2 * layout.first_blocks,
        TrainedPart::Heads => heads(),
    }
}

/// Returns `[P]`: 1 for every parameter that may change, 0 for frozen parts and, if keypoints are frozen, the heads'
/// keypoint rows.
pub(super) fn trainable(
    layout: &Layout,
    form: Form,
    part: TrainedPart,
    freeze_keypoints: bool,
) -> Vec<f32> {
    let (convs, slots) = (layout.convs(), slots(layout, form));
    let mut mask = vec![1.0; slots.last().map_or(0, |slot| slot.shift.end)];
    for slot in &slots[..first_trained(layout, part)] {
        mask[slot.parameters()].fill(0.0);
    }
    let regressors =
        convs.iter().zip(&slots).filter(|(conv, _)| conv.name.starts_with("regressor"));
    for (conv, slot) in regressors.filter(|_| freeze_keypoints) {
        let inputs = slot.weight.len() / conv.shape[0];
        // Rows are anchor × 16 + coordinate; the first four coordinates are the box.
        for row in (0..conv.shape[0]).filter(|row| row % COORDINATES >= 4) {
            mask[slot.weight.start + row * inputs..][..inputs].fill(0.0);
            mask[slot.shift.start + row] = 0.0;
        }
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::layout::SHORT;

    #[test]
    fn frozen_parts_and_frozen_keypoints_do_not_train() {
        let count = |part, freeze| {
            let mask = trainable(&SHORT, Form::Folded, part, freeze);
            mask.iter().filter(|&&value| value == 1.0).count()
        };
        assert_eq!(count(TrainedPart::All, false), 101_390);
        // Two anchors per cell from 88 channels, six from 96: a score and 16 coordinates each, with biases.
        assert_eq!(count(TrainedPart::Heads, false), 17 * (2 * 89 + 6 * 97));
        assert_eq!(count(TrainedPart::Heads, true), 5 * (2 * 89 + 6 * 97));
        assert!(count(TrainedPart::SecondBackbone, false) > count(TrainedPart::Heads, false));
    }

    #[test]
    fn muon_updates_the_convolutions_that_combine_channels() {
        let matrices = matrices(OptimizerChoice::Muon, &SHORT, Form::Unfolded);
        // The stem, sixteen pointwise convolutions and the two coordinate heads.
        assert_eq!(matrices.len(), 19);
        assert_eq!(matrices[0], Matrix { start: 0, rows: 24, columns: 75 });
        let decays = decays(&SHORT, Form::Unfolded);
        assert!(matrices.iter().all(|m| decays[m.start] == 1.0 && decays[m.start + 1] == 1.0));
    }
}
