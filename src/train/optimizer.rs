//! `AdamW` over one flat buffer.

use tch::Tensor;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// `AdamW` (Loshchilov & Hutter, <https://arxiv.org/abs/1711.05101>), with its state in the open, so that
/// it can be saved.
#[derive(Debug)]
pub struct AdamW {
    /// Steps done.
    pub steps: u64,
    /// Running mean of the gradient.
    pub mean: Tensor,
    /// Running mean of its square.
    pub variance: Tensor,
}

impl AdamW {
    /// For parameters like these.
    pub fn new(parameters: &Tensor) -> Self {
        let zeros = || parameters.detach().zeros_like();
        Self { steps: 0, mean: zeros(), variance: zeros() }
    }

    /// Applies `gradient` to `parameters` in place; `decay` is each parameter's weight decay.
    pub fn step(
        &mut self,
        parameters: &mut Tensor,
        gradient: &Tensor,
        learning_rate: f64,
        decay: &Tensor,
    ) {
        let _guard = tch::no_grad_guard();
        self.steps += 1;
        let steps = self.steps as f64;
        let correction1 = 1.0 - BETA1.powf(steps);
        let correction2 = 1.0 - BETA2.powf(steps);
        let _ = self.mean.lerp_(gradient, 1.0 - BETA1);
        let _ = self.variance.lerp_(&gradient.square(), 1.0 - BETA2);
        let update = (&self.mean / correction1) / ((&self.variance / correction2).sqrt() + EPSILON);
        let _ = parameters.g_mul_(&(1.0 - decay * learning_rate));
        let _ = parameters.g_sub_(&(update * learning_rate));
    }
}
