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

#[cfg(test)]
mod tests {
    use tch::nn::{self, OptimizerConfig};
    use tch::{Device, Kind};

    use super::*;

    fn loss(parameters: &Tensor) -> Tensor {
        let goal = Tensor::from_slice(&[1.0f32, -2.0, 3.0]);
        (parameters - goal).square().sum(Kind::Float)
    }

    #[test]
    fn a_hundred_steps_are_libtorchs_own() {
        let vars = nn::VarStore::new(Device::Cpu);
        let theirs = vars.root().var("x", &[3], nn::Init::Const(0.5));
        let mut optimizer = nn::adamw(0.9, 0.999, 0.01).build(&vars, 1e-2).unwrap();
        let mut ours = Tensor::full([3], 0.5, (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let mut adamw = AdamW::new(&ours);
        let decay = Tensor::full([3], 0.01, (Kind::Float, Device::Cpu));
        for _ in 0..100 {
            optimizer.backward_step(&loss(&theirs));
            loss(&ours).backward();
            let mut gradient = ours.grad();
            adamw.step(&mut ours, &gradient, 1e-2, &decay);
            let _ = gradient.zero_();
        }
        let gap = (&ours - &theirs).abs().max().double_value(&[]);
        assert!(gap < 1e-5, "{gap}");
    }
}
