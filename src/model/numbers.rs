//! A network's numbers in two flat vectors, and the ways to add BatchNorm to a folded network.

use super::folding::Folding;
use super::layout::{EPSILON, Layout};
use super::slots::{Form, slots};
use super::tensors::Weights;

/// A network of either form, in host memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbers {
    /// Whether the network has BatchNorm.
    pub form: Form,
    /// The variant's layout.
    pub layout: &'static Layout,
    /// `[P]`: each convolution's weight and bias, or its weight, γ and β.
    pub parameters: Vec<f32>,
    /// `[B]`: each BatchNorm's running mean and variance; empty without BatchNorm.
    pub buffers: Vec<f32>,
}

/// The mean and variance of each channel of a convolution's output, without its bias.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// `[C]`
    pub mean: Vec<f32>,
    /// `[C]`
    pub variance: Vec<f32>,
}

impl Numbers {
    /// Returns the network in its published form, without BatchNorm.
    pub fn folded(weights: &Weights) -> Self {
        let (layout, parameters) = (weights.layout(), weights.flat());
        Self { form: Form::Folded, layout, parameters, buffers: Vec::new() }
    }

    /// Adds BatchNorm that changes nothing in evaluation mode, and almost nothing in training mode for pictures like
    /// the measured ones. The running mean μ and variance σ² are as measured, γ = √(σ² + ε), β = μ + bias.
    ///
    /// * `statistics`: one entry per backbone convolution.
    pub fn calibrated(weights: &Weights, statistics: &[Statistics]) -> Self {
        unfolded(weights, |index, channel, bias| {
            let Statistics { mean, variance } = &statistics[index];
            let (mean, variance) = (mean[channel], variance[channel]);
            let gamma = (variance + EPSILON as f32).sqrt();
            [gamma, mean + bias, mean, variance]
        })
    }

    /// Adds BatchNorm as published: γ = 1 (here √(1 + ε), so that evaluation is exact), β = bias, mean 0, variance 1.
    /// Training mode normalises with statistics that the weights never saw.
    pub fn identity(weights: &Weights) -> Self {
        let gamma = (1.0 + EPSILON).sqrt() as f32;
        unfolded(weights, |_, _, bias| [gamma, bias, 0.0, 1.0])
    }

    /// Returns the parameters, `[F]`, of the folded network that computes the same outputs in evaluation mode.
    pub fn fold(&self) -> Vec<f32> {
        match self.form {
            Form::Folded => self.parameters.clone(),
            Form::Unfolded => Folding::new(self.layout).fold(&self.parameters, &self.buffers),
        }
    }
}

/// Adds BatchNorm to a folded network.
///
/// * `normalise`: returns γ, β, mean and variance for a convolution's index, a channel and its bias.
fn unfolded(weights: &Weights, normalise: impl Fn(usize, usize, f32) -> [f32; 4]) -> Numbers {
    let (layout, folded) = (weights.layout(), weights.flat());
    let (from, to) = (slots(layout, Form::Folded), slots(layout, Form::Unfolded));
    let parameters = to.last().map_or(0, |slot| slot.shift.end);
    let last = to.iter().rev().find_map(|slot| slot.statistics.as_ref());
    let mut numbers = Numbers {
        form: Form::Unfolded,
        layout,
        parameters: vec![0.0; parameters],
        buffers: vec![0.0; last.map_or(0, |(_, variance)| variance.end)],
    };
    for (index, (from, to)) in from.iter().zip(&to).enumerate() {
        let Numbers { parameters, buffers, .. } = &mut numbers;
        parameters[to.weight.clone()].copy_from_slice(&folded[from.weight.clone()]);
        parameters[to.shift.clone()].copy_from_slice(&folded[from.shift.clone()]);
        let (Some(gamma), Some((means, variances))) = (&to.gamma, &to.statistics) else { continue };
        for (channel, &bias) in folded[from.shift.clone()].iter().enumerate() {
            let [scale, beta, mean, variance] = normalise(index, channel, bias);
            parameters[gamma.start + channel] = scale;
            parameters[to.shift.start + channel] = beta;
            buffers[means.start + channel] = mean;
            buffers[variances.start + channel] = variance;
        }
    }
    numbers
}
