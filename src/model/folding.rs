//! Folds BatchNorm with fixed statistics into the convolutions, and converts the folded network's gradient to the
//! gradient of the weights, γ and β.

use super::layout::{EPSILON, Layout};
use super::slots::{Form, Slot, slots};

/// The positions of all parameters, with and without BatchNorm.
#[derive(Debug)]
pub struct Folding {
    normalised: Vec<Slot>,
    folded: Vec<Slot>,
}

/// BatchNorm of one channel: `output × γ × inverse + β − mean × γ × inverse`.
struct Channel {
    /// The index of γ among the parameters.
    gamma: usize,
    mean: f64,
    /// 1 / √(variance + ε)
    inverse: f64,
}

impl Folding {
    /// Prepares to fold networks with this layout.
    pub fn new(layout: &Layout) -> Self {
        Self { normalised: slots(layout, Form::Unfolded), folded: slots(layout, Form::Folded) }
    }

    /// Returns the folded network's parameters, `[F]`.
    ///
    /// * `parameters`, `buffers`: as in [`Numbers`](super::numbers::Numbers).
    pub fn fold(&self, parameters: &[f32], buffers: &[f32]) -> Vec<f32> {
        let mut folded = vec![0.0; self.folded.last().map_or(0, |slot| slot.shift.end)];
        self.fold_into(parameters, buffers, &mut folded);
        folded
    }

    /// Like [`Folding::fold`], but writes to existing memory.
    pub fn fold_into(&self, parameters: &[f32], buffers: &[f32], folded: &mut [f32]) {
        for (from, to) in self.normalised.iter().zip(&self.folded) {
            folded[to.weight.clone()].copy_from_slice(&parameters[from.weight.clone()]);
            folded[to.shift.clone()].copy_from_slice(&parameters[from.shift.clone()]);
            let terms = to.weight.len() / to.shift.len();
            for (channel, norm) in channels(from, buffers).enumerate() {
                let scale = f64::from(parameters[norm.gamma]) * norm.inverse;
                let first = to.weight.start + channel * terms;
                for weight in &mut folded[first..first + terms] {
                    *weight = (f64::from(*weight) * scale) as f32;
                }
                let bias = &mut folded[to.shift.start + channel];
                *bias = (f64::from(*bias) - norm.mean * scale) as f32;
            }
        }
    }

    /// Computes the gradient of `parameters` from the gradient of the folded parameters, and writes it to `into`.
    pub fn gradient(&self, parameters: &[f32], buffers: &[f32], folded: &[f32], into: &mut [f32]) {
        for (to, from) in self.normalised.iter().zip(&self.folded) {
            into[to.weight.clone()].copy_from_slice(&folded[from.weight.clone()]);
            into[to.shift.clone()].copy_from_slice(&folded[from.shift.clone()]);
            let terms = from.weight.len() / from.shift.len();
            for (channel, norm) in channels(to, buffers).enumerate() {
                let scale = f64::from(parameters[norm.gamma]) * norm.inverse;
                let first = to.weight.start + channel * terms;
                let row = first..first + terms;
                let mut along = 0.0;
                for (gradient, weight) in into[row.clone()].iter_mut().zip(&parameters[row]) {
                    along += f64::from(*gradient) * f64::from(*weight);
                    *gradient *= scale as f32;
                }
                let bias = f64::from(folded[from.shift.start + channel]);
                into[norm.gamma] = ((along - norm.mean * bias) * norm.inverse) as f32;
            }
        }
    }
}

/// Returns the normalised channels of a convolution; none if it has no BatchNorm.
fn channels<'a>(slot: &'a Slot, buffers: &'a [f32]) -> impl Iterator<Item = Channel> + 'a {
    let both = slot.gamma.iter().zip(&slot.statistics);
    both.flat_map(|(gamma, (means, variances))| {
        let statistics = buffers[means.clone()].iter().zip(&buffers[variances.clone()]);
        gamma.clone().zip(statistics).map(|(gamma, (&mean, &variance))| Channel {
            gamma,
            mean: f64::from(mean),
            inverse: 1.0 / (f64::from(variance) + EPSILON).sqrt(),
        })
    })
}
