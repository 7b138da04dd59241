//! A network's numbers in two flat vectors, and how BatchNorm returns between its folded convolutions.

use super::folding::Folding;
use super::layout::{EPSILON, Layout};
use super::slots::{Form, slots};
use super::tensors::Weights;

/// A network of either form, in plain memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbers {
    /// Whether BatchNorm is there.
    pub form: Form,
    /// The variant's table of numbers.
    pub layout: &'static Layout,
    /// `[P]`: for each convolution its weight and bias, or weight, γ and β.
    pub parameters: Vec<f32>,
    /// `[B]`: for each BatchNorm its running mean and variance; empty if there is none.
    pub buffers: Vec<f32>,
}

/// Mean and variance of each channel of one convolution's output, without its bias.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// `[C]`
    pub mean: Vec<f32>,
    /// `[C]`
    pub variance: Vec<f32>,
}

impl Numbers {
    /// The published form.
    pub fn folded(weights: &Weights) -> Self {
        let (layout, parameters) = (weights.layout(), weights.flat());
        Self { form: Form::Folded, layout, parameters, buffers: Vec::new() }
    }

    /// Adds BatchNorm that changes nothing in evaluation mode and, for pictures like the measured ones, nearly nothing
    /// in training mode: running mean μ and variance σ² as measured, γ = √(σ² + ε), β = μ + bias.
    ///
    /// * `statistics`: of each convolution of the backbones.
    pub fn calibrated(weights: &Weights, statistics: &[Statistics]) -> Self {
        unfolded(weights, |index, channel, bias| {
            let Statistics { mean, variance } = &statistics[index];
            let (mean, variance) = (mean[channel], variance[channel]);
            let gamma = (variance + EPSILON as f32).sqrt();
            [gamma, mean + bias, mean, variance]
        })
    }

    /// Adds BatchNorm the published way: γ = 1 (here √(1 + ε), so that evaluation is exact), β = bias, mean 0,
    /// variance 1. Training mode normalises with statistics that the weights never saw.
    pub fn identity(weights: &Weights) -> Self {
        let gamma = (1.0 + EPSILON).sqrt() as f32;
        unfolded(weights, |_, _, bias| [gamma, bias, 0.0, 1.0])
    }

    /// `[F]`: the parameters of the folded network that does the same in evaluation mode.
    pub fn fold(&self) -> Vec<f32> {
        match self.form {
            Form::Folded => self.parameters.clone(),
            Form::Unfolded => Folding::new(self.layout).fold(&self.parameters, &self.buffers),
        }
    }
}

/// * `normalise`: γ, β, mean and variance of a convolution's channel with this bias.
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
