//! Random weights, for training from scratch.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use crate::model::layout;
use crate::model::layout::Role;
use crate::model::tensors::{Array, Arrays, Weights, shapes};

/// Score of an untrained anchor: faces are rare.
const PRIOR: f32 = 0.01;
/// Width and height of an untrained anchor's box, in pixels of the input.
const BOX_PX: f32 = 16.0;

/// Returns uniformly random weights with the variance that keeps the activations' variance constant (He et al.,
/// <https://arxiv.org/abs/1502.01852>). The same `seed` gives the same weights.
pub fn scratch(seed: u64) -> Weights {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let mut arrays = Arrays::new();
    let shapes = shapes(&layout::SHORT);
    for conv in layout::SHORT.convs() {
        let weight = format!("{}.weight", conv.name);
        let bias = format!("{}.bias", conv.name);
        let fan_in: usize = conv.shape[1..].iter().product();
        // No activation follows a depthwise convolution or a head.
        let gain = if matches!(conv.role, Role::Stem | Role::Pointwise) { 2.0 } else { 1.0 };
        let limit =
            (3.0 * gain / fan_in as f32).sqrt() * if conv.role == Role::Head { 0.1 } else { 1.0 };
        let count = shapes[&weight].iter().product();
        let values = (0..count).map(|_| rng.random_range(-limit..limit)).collect();
        arrays.insert(weight.clone(), Array { shape: shapes[&weight].clone(), values });
        let values = (0..conv.shape[0]).map(|row| first_bias(&conv.name, row)).collect();
        arrays.insert(bias.clone(), Array { shape: shapes[&bias].clone(), values });
    }
    Weights::new(arrays).expect("the arrays have the network's shapes")
}

fn first_bias(name: &str, row: usize) -> f32 {
    if name.starts_with("classifier") {
        (PRIOR / (1.0 - PRIOR)).ln()
    } else if name.starts_with("regressor") && matches!(row % layout::COORDINATES, 2 | 3) {
        BOX_PX
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_determines_the_weights() {
        assert_eq!(scratch(3), scratch(3));
        assert_ne!(scratch(3), scratch(4));
    }
}
