//! BatchNorm whose statistics stay as they are: the network with it, as the folded one that does the same, and that
//! one's gradient, as the gradient of weights, γ and β.

use super::shape::{Slot, slots};
use crate::model::network::EPSILON;

/// The statistics of every BatchNorm, and where everything lies with BatchNorm and without.
#[derive(Debug)]
pub struct Folding {
    normalised: Vec<Slot>,
    folded: Vec<Slot>,
    /// Of each convolution that has BatchNorm; these come first.
    norms: Vec<Norm>,
}

/// `output × (γ × inverse) + β − mean × (γ × inverse)`, channel by channel.
#[derive(Debug)]
struct Norm {
    mean: Vec<f64>,
    /// 1 / √(variance + ε)
    inverse: Vec<f64>,
}

impl Folding {
    /// * `buffers`: running means and variances, as in [`Network`](crate::model::network::Network).
    pub fn new(buffers: &[f32]) -> Self {
        let (normalised, folded) = (slots(true), slots(false));
        let wide = |value: &f32| f64::from(*value);
        let norm = |slot: &Slot| {
            let (means, variances) = slot.statistics.as_ref()?;
            let inverse = |value: &f32| 1.0 / (wide(value) + EPSILON).sqrt();
            Some(Norm {
                mean: buffers[means.clone()].iter().map(wide).collect(),
                inverse: buffers[variances.clone()].iter().map(inverse).collect(),
            })
        };
        let norms = normalised.iter().map_while(norm).collect();
        Self { normalised, folded, norms }
    }

    /// Numbers of the folded network.
    pub fn folded_length(&self) -> usize {
        self.folded.iter().map(|slot| slot.weight.len() + slot.shift.len()).sum()
    }

    /// The folded network's parameters.
    pub fn fold(&self, parameters: &[f32], folded: &mut [f32]) {
        for (at, (from, to)) in self.normalised.iter().zip(&self.folded).enumerate() {
            let (weight, shift) =
                (&parameters[from.weight.clone()], &parameters[from.shift.clone()]);
            let (Some(norm), Some(gamma)) = (self.norms.get(at), &from.gamma) else {
                folded[to.weight.clone()].copy_from_slice(weight);
                folded[to.shift.clone()].copy_from_slice(shift);
                continue;
            };
            let gamma = &parameters[gamma.clone()];
            let terms = weight.len() / gamma.len();
            let rows = folded[to.weight.clone()].chunks_exact_mut(terms);
            for ((row, weight), (&gamma, inverse)) in
                rows.zip(weight.chunks_exact(terms)).zip(gamma.iter().zip(&norm.inverse))
            {
                let scale = (f64::from(gamma) * inverse) as f32;
                row.iter_mut().zip(weight).for_each(|(folded, weight)| *folded = weight * scale);
            }
            for (channel, bias) in folded[to.shift.clone()].iter_mut().enumerate() {
                let scale = f64::from(gamma[channel]) * norm.inverse[channel];
                *bias = (f64::from(shift[channel]) - norm.mean[channel] * scale) as f32;
            }
        }
    }

    /// Writes the gradient of `parameters`, from that of the folded network's.
    pub fn gradient(&self, parameters: &[f32], folded: &[f32], into: &mut [f32]) {
        for (at, (slot, from)) in self.normalised.iter().zip(&self.folded).enumerate() {
            let (weight, bias) = (&folded[from.weight.clone()], &folded[from.shift.clone()]);
            into[slot.weight.clone()].copy_from_slice(weight);
            into[slot.shift.clone()].copy_from_slice(bias);
            let (Some(norm), Some(gammas)) = (self.norms.get(at), &slot.gamma) else { continue };
            let terms = weight.len() / bias.len();
            let weights = parameters[slot.weight.clone()].chunks_exact(terms);
            for (channel, weight) in weights.enumerate() {
                let scale = f64::from(parameters[gammas.start + channel]) * norm.inverse[channel];
                let first = slot.weight.start + channel * terms;
                let row = &mut into[first..first + terms];
                let along: f64 =
                    row.iter().zip(weight).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
                row.iter_mut().for_each(|value| *value = (f64::from(*value) * scale) as f32);
                let through = along - norm.mean[channel] * f64::from(bias[channel]);
                into[gammas.start + channel] = (through * norm.inverse[channel]) as f32;
            }
        }
    }
}
