//! `AdamW` and Muon for the native engine; see [`crate::train::optimizer`].

use rayon::prelude::*;

use crate::model::native::newton_schulz;
use crate::train::optimizer::{BETA1, BETA2, COEFFICIENTS, EPSILON, ITERATIONS, Matrix};

/// The native optimizer. Its running means are visible so that checkpoints can save them.
#[derive(Debug)]
pub(super) struct NativeOptimizer {
    /// `[P]`: running mean of the gradient.
    pub(super) mean: Vec<f32>,
    /// `[P]`: running mean of the gradient's square.
    pub(super) variance: Vec<f32>,
    matrices: Vec<Matrix>,
    /// `[P]`: the current update.
    update: Vec<f32>,
}

impl NativeOptimizer {
    /// Creates an optimizer for `count` parameters. Muon updates `matrices`; for plain `AdamW`, there are none.
    pub(super) fn new(count: usize, matrices: Vec<Matrix>) -> Self {
        let zeros = || vec![0.0; count];
        Self { mean: zeros(), variance: zeros(), matrices, update: zeros() }
    }

    /// Applies `gradient` to `parameters` in place.
    ///
    /// * `step`: the step's number, from 1; `decay`: each parameter's weight decay.
    pub(super) fn step(
        &mut self,
        step: u64,
        parameters: &mut [f32],
        gradient: &[f32],
        rate: f64,
        decay: &[f32],
    ) {
        let [corrected1, corrected2] =
            [BETA1, BETA2].map(|beta| (1.0 - beta.powf(step as f64)) as f32);
        let running = self.mean.iter_mut().zip(&mut self.variance).zip(gradient);
        for (((mean, variance), &gradient), update) in running.zip(&mut self.update) {
            *mean = lerp(*mean, gradient, (1.0 - BETA1) as f32);
            *variance = lerp(*variance, gradient * gradient, (1.0 - BETA2) as f32);
            let deviation = (*variance / corrected2).sqrt() + EPSILON as f32;
            *update = *mean / corrected1 / deviation;
        }
        self.make_orthogonal(gradient);
        let rate32 = rate as f32;
        for ((parameter, decay), update) in parameters.iter_mut().zip(decay).zip(&self.update) {
            *parameter = *parameter * (1.0 - decay * rate32) - update * rate32;
        }
    }

    /// Replaces the matrices' updates with orthogonal updates.
    fn make_orthogonal(&mut self, gradient: &[f32]) {
        let (mean, matrices) = (&self.mean, &self.matrices);
        let one = |matrix: &Matrix| {
            let range = matrix.start..matrix.start + matrix.rows * matrix.columns;
            let pairs = gradient[range.clone()].iter().zip(&mean[range]);
            // Nesterov momentum: looks one step ahead.
            let momentum: Vec<f32> =
                pairs.map(|(&gradient, &mean)| lerp(gradient, mean, BETA1 as f32)).collect();
            newton_schulz(&momentum, matrix.columns, COEFFICIENTS, ITERATIONS)
        };
        let found: Vec<Vec<f32>> = matrices.par_iter().map(one).collect();
        for (matrix, direction) in matrices.iter().zip(found) {
            let size = matrix.size() as f32;
            let update = &mut self.update[matrix.start..][..direction.len()];
            update.iter_mut().zip(direction).for_each(|(update, value)| *update = value * size);
        }
    }
}

/// Interpolates from `a` to `b`, with the formula that has the smaller rounding error.
pub(super) fn lerp(a: f32, b: f32, share: f32) -> f32 {
    if share < 0.5 { a + share * (b - a) } else { b - (b - a) * (1.0 - share) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_without_a_gradient_do_not_change() {
        let mut parameters = vec![1.0; 6];
        let mut optimizer = NativeOptimizer::new(6, vec![Matrix { start: 0, rows: 3, columns: 2 }]);
        optimizer.step(1, &mut parameters, &[1.0, 2.0, 0.0, 0.0, -1.0, 0.5], 0.1, &[0.0; 6]);
        assert_eq!(parameters[2..4], [1.0, 1.0]);
        assert!(parameters[0] < 1.0 && parameters[4] > 1.0, "{parameters:?}");
    }

    /// The first steps of AdamW on one parameter, computed by hand: each step moves it by the learning rate.
    #[test]
    fn each_step_of_a_constant_gradient_moves_a_parameter_by_the_learning_rate() {
        let mut parameter = [2.0];
        let mut optimizer = NativeOptimizer::new(1, Vec::new());
        for step in 1..=3 {
            optimizer.step(step, &mut parameter, &[0.5], 0.01, &[0.0]);
        }
        assert!((parameter[0] - 1.97).abs() < 1e-6, "{parameter:?}");
        optimizer.step(4, &mut parameter, &[0.5], 0.01, &[0.1]);
        assert!((parameter[0] - (1.97 * 0.999 - 0.01)).abs() < 1e-6, "{parameter:?}");
    }
}
