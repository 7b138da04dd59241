//! `AdamW` over one flat buffer, and Muon for the matrices in it.

use rayon::prelude::*;
use tch::{Device, Tensor};

use crate::model::cpu::newton_schulz;
use crate::model::network::array;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// `AdamW` (Loshchilov & Hutter, <https://arxiv.org/abs/1711.05101>), with its state in the open, so that
/// it can be saved.
///
/// Some parameters are matrices (convolutions that mix channels). Muon, where it is asked for, makes
/// their update orthogonal, so that it moves every direction by the same amount instead of the few
/// that dominate the gradient; sized like `AdamW`'s, so that one learning rate does for both. Source:
/// <https://arxiv.org/abs/2502.16982>.
#[derive(Debug)]
pub struct Optimizer {
    /// Steps done.
    pub steps: u64,
    /// Running mean of the gradient.
    pub mean: Tensor,
    /// Running mean of its square.
    pub variance: Tensor,
    matrices: Vec<Matrix>,
}

/// A matrix within the flat buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matrix {
    /// Where it begins.
    pub start: i64,
    /// Outputs.
    pub rows: i64,
    /// Inputs, times the kernel's pixels.
    pub columns: i64,
}

impl Matrix {
    /// `[rows, columns]`: this part of a flat buffer.
    fn of(&self, flat: &Tensor) -> Tensor {
        flat.narrow(0, self.start, self.rows * self.columns).view([self.rows, self.columns])
    }
}

impl Optimizer {
    /// For parameters like these; `matrices` are those that Muon is to have, none for plain `AdamW`.
    pub fn new(parameters: &Tensor, matrices: Vec<Matrix>) -> Self {
        let zeros = || parameters.detach().zeros_like();
        Self { steps: 0, mean: zeros(), variance: zeros(), matrices }
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
        if !self.matrices.is_empty() {
            let momentum = gradient.lerp(&self.mean, BETA1); // Nesterov's: one step ahead
            let directions = match parameters.device() {
                Device::Cpu => orthogonal_in_memory(&momentum, &self.matrices),
                _ => self.matrices.iter().map(|matrix| orthogonal(&matrix.of(&momentum))).collect(),
            };
            for (matrix, direction) in self.matrices.iter().zip(directions) {
                let size = ADAM_SIZE * (matrix.rows.max(matrix.columns) as f64).sqrt();
                matrix.of(&update).copy_(&(direction * size));
            }
        }
        let _ = parameters.g_mul_(&(1.0 - decay * learning_rate));
        let _ = parameters.g_sub_(&(update * learning_rate));
    }
}

/// Root mean square of `AdamW`'s updates in practice, to which Muon's are brought.
const ADAM_SIZE: f64 = 0.2;

/// Newton–Schulz iterations, and their coefficients.
const ITERATIONS: usize = 5;
const COEFFICIENTS: [f32; 3] = [3.4445, -4.7750, 2.0315];

/// [`orthogonal`] of several matrices at once, on a CPU.
fn orthogonal_in_memory(flat: &Tensor, matrices: &[Matrix]) -> Vec<Tensor> {
    let flat = array(flat).values;
    let one = |matrix: &Matrix| {
        let (start, columns) = (matrix.start as usize, matrix.columns as usize);
        let part = &flat[start..start + matrix.rows as usize * columns];
        newton_schulz(part, columns, COEFFICIENTS, ITERATIONS)
    };
    let found: Vec<Vec<f32>> = matrices.par_iter().map(one).collect();
    let shaped = found.iter().zip(matrices);
    shaped.map(|(values, m)| Tensor::from_slice(values).view([m.rows, m.columns])).collect()
}

/// About the nearest orthogonal matrix: singular values come to lie between 0.7 and 1.2. Five
/// Newton–Schulz iterations with the coefficients of <https://kellerjordan.github.io/posts/muon/>.
fn orthogonal(matrix: &Tensor) -> Tensor {
    let is_tall = matrix.size()[0] > matrix.size()[1];
    let wide = if is_tall { matrix.tr() } else { matrix.shallow_clone() };
    let mut xs = &wide / (wide.norm() + 1e-7);
    let [a, b, c] = COEFFICIENTS.map(f64::from);
    for _ in 0..ITERATIONS {
        let square = xs.mm(&xs.tr());
        let factor = &square * b + square.mm(&square) * c;
        xs = &xs * a + factor.mm(&xs);
    }
    if is_tall { xs.tr() } else { xs }
}

#[cfg(test)]
mod tests {
    use tch::Kind;
    use tch::nn::{self, OptimizerConfig};

    use super::*;

    fn loss(parameters: &Tensor) -> Tensor {
        let goal = Tensor::from_slice(&[1.0f32, -2.0, 3.0]);
        (parameters - goal).square().sum(Kind::Float)
    }

    #[test]
    fn an_update_of_muon_moves_every_direction_about_as_far() {
        tch::manual_seed(1);
        for shape in [[24, 75], [48, 24]] {
            let (_, found, _) =
                orthogonal(&Tensor::randn(shape, (Kind::Float, Device::Cpu))).svd(true, false);
            let (least, most) = (found.min().double_value(&[]), found.max().double_value(&[]));
            assert!(least > 0.4 && most < 1.3, "{least} {most}");
        }
    }

    #[test]
    fn matrices_in_memory_become_what_tensors_become() {
        tch::manual_seed(2);
        let flat = Tensor::randn([24 * 75 + 42 * 36 + 96 * 88], (Kind::Float, Device::Cpu));
        let shapes = [(0, 24, 75), (24 * 75, 42, 36), (24 * 75 + 42 * 36, 96, 88)];
        let matrices = shapes.map(|(start, rows, columns)| Matrix { start, rows, columns });
        for (matrix, found) in matrices.iter().zip(orthogonal_in_memory(&flat, &matrices)) {
            let gap = (orthogonal(&matrix.of(&flat)) - found).abs().max().double_value(&[]);
            assert!(gap < 1e-4, "{matrix:?}: {gap}");
        }
    }

    #[test]
    fn rows_without_a_gradient_stay_as_they_are() {
        let mut parameters = Tensor::ones([6], (Kind::Float, Device::Cpu));
        let decay = parameters.zeros_like();
        let matrix = Matrix { start: 0, rows: 3, columns: 2 };
        let mut optimizer = Optimizer::new(&parameters, vec![matrix]);
        let gradient = Tensor::from_slice(&[1.0f32, 2.0, 0.0, 0.0, -1.0, 0.5]);
        optimizer.step(&mut parameters, &gradient, 0.1, &decay);
        let moved: Vec<f32> = Vec::try_from(&parameters).unwrap();
        assert_eq!(moved[2..4], [1.0, 1.0]);
        assert!(moved[0] < 1.0 && moved[4] > 1.0, "{moved:?}");
    }

    #[test]
    fn a_hundred_steps_are_libtorchs_own() {
        let vars = nn::VarStore::new(Device::Cpu);
        let theirs = vars.root().var("x", &[3], nn::Init::Const(0.5));
        let mut optimizer = nn::adamw(0.9, 0.999, 0.01).build(&vars, 1e-2).unwrap();
        let mut ours = Tensor::full([3], 0.5, (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let mut adamw = Optimizer::new(&ours, Vec::new());
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
