//! What the optimizer does with each parameter, for the native engine and for libtorch.
//!
//! `AdamW` (Loshchilov & Hutter, <https://arxiv.org/abs/1711.05101>) over one flat vector, and Muon for the matrices in
//! it (convolutions that mix channels): it makes their update orthogonal, so that it moves every direction by the same
//! amount instead of the few that dominate the gradient; scaled like `AdamW`'s, so that one learning rate serves both.
//! Source: <https://arxiv.org/abs/2502.16982>.

use crate::model::layout::{COORDINATES, Layout, Role};
use crate::model::slots::{Form, slots};
use crate::protocol::schedule::TrainedPart;
use crate::protocol::train_spec::OptimizerChoice;

pub(super) const BETA1: f64 = 0.9;
pub(super) const BETA2: f64 = 0.999;
pub(super) const EPSILON: f64 = 1e-8;
/// Added to a gradient's norm before anything is divided by it.
pub(super) const NORM_EPSILON: f64 = 1e-6;

/// Newton–Schulz iterations, and their coefficients: <https://kellerjordan.github.io/posts/muon/>.
pub(super) const ITERATIONS: usize = 5;
pub(super) const COEFFICIENTS: [f32; 3] = [3.4445, -4.7750, 2.0315];
/// Root mean square of `AdamW`'s updates in practice; Muon's are scaled to it.
const ADAM_SIZE: f64 = 0.2;

/// One step.
#[derive(Debug, Clone, Copy)]
pub struct Update {
    /// Its number, from 1.
    pub step: u64,
    /// Learning rate.
    pub rate: f64,
    /// Decay of the moving average, 0..1.
    pub ema_decay: f64,
}

/// A matrix within the flat vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matrix {
    /// Where it begins.
    pub start: usize,
    /// Outputs.
    pub rows: usize,
    /// Inputs, times the kernel's pixels.
    pub columns: usize,
}

impl Matrix {
    /// What an orthogonal update of it is multiplied by.
    pub(super) fn size(&self) -> f64 {
        ADAM_SIZE * (self.rows.max(self.columns) as f64).sqrt()
    }
}

/// The matrices that Muon updates: the convolutions that mix channels, except the score heads. A row of a score head is
/// all that one anchor has, and anchors should not all move equally far.
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

/// `[P]`: 1 for convolutions' weights, 0 for biases and BatchNorm, which weight decay would only bend.
pub(super) fn decays(layout: &Layout, form: Form) -> Vec<f32> {
    let slots = slots(layout, form);
    let mut decays = vec![0.0; slots.last().map_or(0, |slot| slot.shift.end)];
    for slot in slots {
        decays[slot.weight].fill(1.0);
    }
    decays
}

/// The first convolution that trains in a part of the network; all after it train too.
pub(super) fn first_trained(layout: &Layout, part: TrainedPart) -> usize {
    let heads = || layout.convs().iter().take_while(|conv| conv.role != Role::Head).count();
    match part {
        TrainedPart::All => 0,
        TrainedPart::SecondBackbone => 1 + 2 * layout.first_blocks,
        TrainedPart::Heads => heads(),
    }
}

/// `[P]`: 1 for every parameter that may change; 0 for parts not yet unfrozen, and for the heads' keypoint rows when
/// those are frozen.
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
        // Rows are anchor × 16 + coordinate, of which the first four are the box.
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
    fn parts_that_wait_and_frozen_keypoints_do_not_change() {
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
    fn muon_has_the_convolutions_that_mix_channels() {
        let matrices = matrices(OptimizerChoice::Muon, &SHORT, Form::Unfolded);
        // The stem, sixteen pointwise convolutions, and the two heads of coordinates.
        assert_eq!(matrices.len(), 19);
        assert_eq!(matrices[0], Matrix { start: 0, rows: 24, columns: 75 });
        let decays = decays(&SHORT, Form::Unfolded);
        assert!(matrices.iter().all(|m| decays[m.start] == 1.0 && decays[m.start + 1] == 1.0));
    }
}
