//! BatchNorm as two numbers a channel, forward, and three, backward.

use std::ops::Range;

use super::shape::{Slot, padded};
use super::training::Measured;
use crate::model::network::{EPSILON, MOMENTUM};

/// What stands behind one convolution: `output × scale + shift`.
#[derive(Debug, Clone, Default)]
pub(super) struct Norm {
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
    /// Of the batch; empty without BatchNorm.
    mean: Vec<f64>,
    /// 1 / √(variance + ε)
    inverse: Vec<f64>,
    /// What it was made of: the sums, the values a channel, and what comes through.
    pub(super) sums: Vec<f64>,
    pub(super) count: f64,
    pub(super) through: Vec<f32>,
}

impl Norm {
    /// From the batch's sums, which the running statistics follow.
    ///
    /// * `sums`: `[2, C]`: of the convolution's outputs and of their squares; `count`: how many a channel.
    /// * `through`: what the outputs lack: a constant a channel that comes through from the layer before.
    pub(super) fn new(
        slot: &Slot,
        parameters: &[f32],
        buffers: &mut [f32],
        sums: &[f64],
        count: usize,
        through: &[f32],
    ) -> Self {
        let count = count as f64;
        let base =
            Self { sums: sums.to_vec(), count, through: through.to_vec(), ..Self::default() };
        let mut shift = wide(&parameters[slot.shift.clone()]);
        let (Some(gamma), Some((means, variances))) = (&slot.gamma, &slot.statistics) else {
            shift.iter_mut().zip(through).for_each(|(shift, more)| *shift += more);
            return Self { scale: vec![1.0; shift.len()], shift, ..base };
        };
        let gamma = wide(&parameters[gamma.clone()]);
        let (sums, squares) = sums.split_at(sums.len() / 2);
        let mean: Vec<f64> = sums.iter().map(|sum| sum / count).collect();
        let variance = squares.iter().zip(&mean);
        let variance: Vec<f64> =
            variance.map(|(squares, mean)| (squares / count - mean * mean).max(0.0)).collect();
        let unbiased = count / (count - 1.0).max(1.0);
        let through = through.iter().map(|&more| f64::from(more)).chain(std::iter::repeat(0.0));
        follow(buffers, means, mean.iter().zip(through).map(|(mean, more)| mean + more));
        follow(buffers, variances, variance.iter().map(|variance| variance * unbiased));
        let inverse: Vec<f64> = variance.iter().map(|v| 1.0 / (v + EPSILON).sqrt()).collect();
        let scale: Vec<f32> =
            gamma.iter().zip(&inverse).map(|(&g, i)| (f64::from(g) * i) as f32).collect();
        for ((shift, mean), &scale) in shift.iter_mut().zip(&mean).zip(&scale) {
            *shift = (f64::from(*shift) - mean * f64::from(scale)) as f32;
        }
        Self { scale, shift, mean, inverse, ..base }
    }

    /// The way back: the gradient of the convolution's outputs is `gradient × first + outputs × second + third`.
    ///
    /// * `sums`: `[2, C]`: of the gradient behind, and of its product with the outputs.
    ///
    /// Writes the gradients of γ and β, or of the bias, to `into`.
    pub(super) fn backward(&self, slot: &Slot, sums: &[f64], into: &mut [f32]) -> [Vec<f32>; 3] {
        let (sums, products) = sums.split_at(sums.len() / 2);
        let write = |into: &mut [f32], range: &Range<usize>, values: &[f64]| {
            into[range.clone()]
                .iter_mut()
                .zip(values)
                .for_each(|(into, &value)| *into = value as f32);
        };
        write(into, &slot.shift, sums);
        let Some(gamma) = &slot.gamma else {
            let zeros = vec![0.0; sums.len()];
            return [vec![1.0; sums.len()], zeros.clone(), zeros];
        };
        let products = products.iter().zip(sums).zip(self.mean.iter().zip(&self.inverse));
        let gammas: Vec<f64> = products
            .map(|((product, sum), (mean, inverse))| (product - mean * sum) * inverse)
            .collect();
        write(into, gamma, &gammas);
        let scale = self.scale.iter().map(|&scale| f64::from(scale));
        let second: Vec<f64> = scale
            .clone()
            .zip(&self.inverse)
            .zip(&gammas)
            .map(|((scale, inverse), gamma)| -scale * inverse * gamma / self.count)
            .collect();
        let third = scale.zip(sums).zip(second.iter().zip(&self.mean));
        let third =
            third.map(|((scale, sum), (second, mean))| -scale * sum / self.count - second * mean);
        let third = third.map(|value| value as f32).collect();
        [self.scale.clone(), second.iter().map(|&value| value as f32).collect(), third]
    }

    /// Mean and variance of the convolution's output, of the first `channels`.
    pub(super) fn measured(&self, channels: usize) -> Measured {
        let (sums, squares) = self.sums.split_at(self.sums.len() / 2);
        let mean = |channel: usize| sums[channel] / self.count;
        let through = |channel: usize| self.through.get(channel).map_or(0.0, |&v| f64::from(v));
        let variance =
            |channel: usize| (squares[channel] / self.count - mean(channel).powi(2)).max(0.0);
        Measured {
            mean: (0..channels).map(|channel| mean(channel) + through(channel)).collect(),
            variance: (0..channels).map(variance).collect(),
        }
    }

    /// Whether there is BatchNorm.
    pub(super) fn is_batch(&self) -> bool {
        !self.mean.is_empty()
    }
}

/// Running statistics go some way towards a batch's.
fn follow(buffers: &mut [f32], range: &Range<usize>, values: impl Iterator<Item = f64>) {
    for (running, value) in buffers[range.clone()].iter_mut().zip(values) {
        *running = ((1.0 - MOMENTUM) * f64::from(*running) + MOMENTUM * value) as f32;
    }
}

fn wide(values: &[f32]) -> Vec<f32> {
    let mut values = values.to_vec();
    values.resize(padded(values.len()), 0.0);
    values
}
