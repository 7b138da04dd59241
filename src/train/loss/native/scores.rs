//! The score loss: quality focal loss.

use super::{StepCounts, ViewCosts};
use crate::model::layout::ANCHORS;
use crate::model::outputs::OutputsRef;
use crate::protocol::train_spec::Loss;
use crate::train::loss::constants::FEWEST_NEGATIVES;

/// Weights of the score loss.
#[derive(Debug)]
pub(super) struct ScoreWeights {
    positive: f32,
    background: f32,
    /// Number of hard negatives per view: the background anchors with the highest scores. `None` counts all background
    /// anchors.
    hardest: Option<usize>,
}

impl ScoreWeights {
    pub(super) fn new(loss: &Loss, counts: &StepCounts) -> Self {
        let (count, views) = (counts.positives.max(1) as f64, counts.views);
        let hardest = (loss.hard_negatives > 0.0).then(|| {
            let each = (loss.hard_negatives * count / views as f64) as usize;
            each.clamp((FEWEST_NEGATIVES as usize).min(ANCHORS), ANCHORS)
        });
        let background_count = hardest.map_or(count, |each| (views * each) as f64);
        Self {
            positive: (loss.positive_weight / count) as f32,
            background: (loss.background_weight / background_count) as f32,
            hardest,
        }
    }
}

/// Sets the score loss of each anchor of a view, and adds the gradient to `logits`.
pub(super) fn add(
    outputs: &OutputsRef<'_>,
    loss: &Loss,
    weights: &ScoreWeights,
    view: &mut ViewCosts,
    logits: &mut [f32],
) {
    let gamma = loss.focal_gamma as f32;
    for positive in &mut view.positives {
        let target = positive.overlap.max(loss.min_quality as f32);
        let (cost, slope) = focal(outputs.logits[positive.anchor], target, gamma);
        positive.score_loss = cost * weights.positive;
        logits[positive.anchor] += slope * weights.positive;
    }
    let mut is_background = view.is_background();
    if let Some(each) = weights.hardest {
        keep_hardest(&mut is_background, outputs.logits, each);
    }
    view.background = vec![0.0; ANCHORS];
    for anchor in (0..ANCHORS).filter(|&anchor| is_background[anchor]) {
        let (cost, slope) = focal(outputs.logits[anchor], 0.0, gamma);
        view.background[anchor] = cost * weights.background;
        logits[anchor] += slope * weights.background;
    }
}

fn keep_hardest(is_background: &mut [bool], logits: &[f32], each: usize) {
    let mut anchors: Vec<usize> = (0..ANCHORS).filter(|&anchor| is_background[anchor]).collect();
    anchors.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    for &anchor in anchors.iter().skip(each) {
        is_background[anchor] = false;
    }
}

/// Returns |target − σ(logit)|^γ × cross-entropy and its derivative with respect to the logit.
pub(super) fn focal(logit: f32, target: f32, gamma: f32) -> (f32, f32) {
    // e^−|x| gives both the score and its logarithm.
    let small = (-logit.abs()).exp();
    let entropy = logit.max(0.0) - logit * target + small.ln_1p();
    let score = if logit >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) };
    let gap = score - target;
    let (factor, slope) = if gamma == 2.0 {
        (gap * gap, 2.0 * gap)
    } else if gap == 0.0 {
        (if gamma == 0.0 { 1.0 } else { 0.0 }, 0.0)
    } else {
        let size = gap.abs();
        (size.powf(gamma), gamma * size.powf(gamma - 1.0) * gap.signum())
    };
    (factor * entropy, factor * gap + slope * score * (1.0 - score) * entropy)
}

/// Returns ln(1 + e^x).
pub(super) fn softplus(logit: f32) -> f32 {
    logit.max(0.0) + (-logit.abs()).exp().ln_1p()
}
