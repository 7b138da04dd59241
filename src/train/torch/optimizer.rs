//! `AdamW` and Muon in libtorch; see [`crate::train::optimizer`].

use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use crate::model::native::newton_schulz;
use crate::model::torch::array;
use crate::train::optimizer::{BETA1, BETA2, COEFFICIENTS, EPSILON, ITERATIONS, Matrix};

/// The libtorch optimizer. Its running means are public so that checkpoints can save them.
#[derive(Debug)]
pub struct TorchOptimizer {
    /// `[P]`: running mean of the gradient.
    pub mean: Tensor,
    /// `[P]`: running mean of the gradient's square.
    pub variance: Tensor,
    matrices: Vec<Matrix>,
    /// All matrices in one batch; only on a GPU.
    together: Option<Together>,
}

/// Returns a matrix's part of a flat vector, `[rows, columns]`.
fn part(matrix: &Matrix, flat: &Tensor) -> Tensor {
    let (rows, columns) = (matrix.rows as i64, matrix.columns as i64);
    flat.narrow(0, matrix.start as i64, rows * columns).view([rows, columns])
}

impl TorchOptimizer {
    /// Creates an optimizer for `parameters`. Muon updates `matrices`; for plain `AdamW`, there are none.
    pub fn new(parameters: &Tensor, matrices: Vec<Matrix>) -> Self {
        let zeros = || parameters.detach().zeros_like();
        let device = parameters.device();
        let on_gpu = device != Device::Cpu && !matrices.is_empty();
        let together = on_gpu.then(|| Together::new(&matrices, device));
        Self { mean: zeros(), variance: zeros(), matrices, together }
    }

    /// Applies `gradient` to `parameters` in place.
    ///
    /// * `step`: the step's number, from 1; `decay`: each parameter's weight decay.
    pub fn step(
        &mut self,
        step: u64,
        parameters: &mut Tensor,
        gradient: &Tensor,
        learning_rate: f64,
        decay: &Tensor,
    ) {
        let _guard = tch::no_grad_guard();
        let [correction1, correction2] = [BETA1, BETA2].map(|beta| 1.0 - beta.powf(step as f64));
        let _ = self.mean.lerp_(gradient, 1.0 - BETA1);
        let _ = self.variance.lerp_(&gradient.square(), 1.0 - BETA2);
        let mut update =
            (&self.mean / correction1) / ((&self.variance / correction2).sqrt() + EPSILON);
        if !self.matrices.is_empty() {
            let momentum = gradient.lerp(&self.mean, BETA1); // Nesterov: looks one step ahead
            if let Some(together) = &self.together {
                together.replace(&mut update, &momentum);
            } else {
                let directions = orthogonal_in_memory(&momentum, &self.matrices);
                for (matrix, direction) in self.matrices.iter().zip(directions) {
                    part(matrix, &update).copy_(&(direction * matrix.size()));
                }
            }
        }
        let _ = parameters.g_mul_(&(1.0 - decay * learning_rate));
        let _ = parameters.g_sub_(&(update * learning_rate));
    }
}

/// Does the same as [`orthogonal`] for several matrices, in parallel on a CPU.
fn orthogonal_in_memory(flat: &Tensor, matrices: &[Matrix]) -> Vec<Tensor> {
    let flat = array(flat).values;
    let one = |matrix: &Matrix| {
        let part = &flat[matrix.start..][..matrix.rows * matrix.columns];
        newton_schulz(part, matrix.columns, COEFFICIENTS, ITERATIONS)
    };
    let found: Vec<Vec<f32>> = matrices.par_iter().map(one).collect();
    let shaped = found.iter().zip(matrices);
    shaped
        .map(|(values, m)| Tensor::from_slice(values).view([m.rows as i64, m.columns as i64]))
        .collect()
}

/// All matrices in one batch, which suits a GPU. Zeros pad them to the largest size; the padding stays zero.
#[derive(Debug)]
struct Together {
    /// `[M × rows × columns]`: each number's index in the flat buffer.
    from: Tensor,
    /// `[M × rows × columns]`: whether each number is padding.
    spare: Tensor,
    shape: [i64; 3],
    /// `[K]`: indices of the matrices' numbers in the flat buffer.
    flat: Tensor,
    /// `[K]`: indices of the same numbers in the batch.
    batched: Tensor,
    /// `[M, 1, 1]`: the factor that scales each update.
    sizes: Tensor,
}

impl Together {
    fn new(matrices: &[Matrix], device: Device) -> Self {
        let largest = |of: fn(&Matrix) -> usize| matrices.iter().map(of).max().unwrap_or(0) as i64;
        let shape = [matrices.len() as i64, largest(|m| m.rows), largest(|m| m.columns)];
        let mut from = vec![0; shape.iter().product::<i64>() as usize];
        let mut spare = vec![true; from.len()];
        let (mut flat, mut batched) = (Vec::new(), Vec::new());
        for (number, matrix) in (0..).zip(matrices) {
            for row in 0..matrix.rows as i64 {
                for column in 0..matrix.columns as i64 {
                    let at = (number * shape[1] + row) * shape[2] + column;
                    let here = matrix.start as i64 + row * matrix.columns as i64 + column;
                    (from[at as usize], spare[at as usize]) = (here, false);
                    flat.push(here);
                    batched.push(at);
                }
            }
        }
        let sizes: Vec<f32> = matrices.iter().map(|matrix| matrix.size() as f32).collect();
        let on_device = |values: &[i64]| Tensor::from_slice(values).to_device(device);
        Self {
            from: on_device(&from),
            spare: Tensor::from_slice(&spare).to_device(device),
            shape,
            flat: on_device(&flat),
            batched: on_device(&batched),
            sizes: Tensor::from_slice(&sizes).reshape([-1, 1, 1]).to_device(device),
        }
    }

    /// Computes the matrices' orthogonal updates from the flat `momentum`, and writes them to the flat `update`.
    fn replace(&self, update: &mut Tensor, momentum: &Tensor) {
        let found = momentum.index_select(0, &self.from).masked_fill(&self.spare, 0.0);
        let directions = orthogonal(&found.view(self.shape)) * &self.sizes;
        let numbers = directions.reshape([-1]).index_select(0, &self.batched);
        let _ = update.index_copy_(0, &self.flat, &numbers);
    }
}

/// Approximates the nearest orthogonal matrices to `[M, rows, columns]`, with singular values of about 0.7 to 1.2. Runs
/// five Newton–Schulz iterations with the coefficients of <https://kellerjordan.github.io/posts/muon/>.
fn orthogonal(matrices: &Tensor) -> Tensor {
    let is_tall = matrices.size()[1] > matrices.size()[2];
    let turned = |t: &Tensor| if is_tall { t.transpose(1, 2) } else { t.shallow_clone() };
    let norms = matrices.square().sum_dim_intlist([1i64, 2].as_slice(), true, Kind::Float).sqrt();
    let mut xs = turned(&(matrices / (norms + 1e-7)));
    let [a, b, c] = COEFFICIENTS.map(f64::from);
    for _ in 0..ITERATIONS {
        let square = xs.bmm(&xs.transpose(1, 2));
        let factor = &square * b + square.bmm(&square) * c;
        xs = &xs * a + factor.bmm(&xs);
    }
    turned(&xs)
}

#[cfg(test)]
mod tests {
    use tch::nn::{self, OptimizerConfig};

    use super::*;

    fn loss(parameters: &Tensor) -> Tensor {
        let goal = Tensor::from_slice(&[1.0f32, -2.0, 3.0]);
        (parameters - goal).square().sum(Kind::Float)
    }

    #[test]
    fn a_muon_update_moves_every_direction_about_equally_far() {
        tch::manual_seed(1);
        for shape in [[1, 24, 75], [1, 48, 24]] {
            let matrix = Tensor::randn(shape, (Kind::Float, Device::Cpu));
            let (_, found, _) = orthogonal(&matrix).svd(true, false);
            let (least, most) = (found.min().double_value(&[]), found.max().double_value(&[]));
            assert!(least > 0.4 && most < 1.3, "{least} {most}");
        }
    }

    #[test]
    fn batched_and_separate_matrices_get_the_same_updates() {
        tch::manual_seed(2);
        let shapes: [(usize, usize, usize); 3] =
            [(7, 24, 75), (7 + 24 * 75, 42, 36), (7 + 24 * 75 + 42 * 36, 96, 88)];
        let matrices = shapes.map(|(start, rows, columns)| Matrix { start, rows, columns });
        let count = 7 + 24 * 75 + 42 * 36 + 96 * 88 + 5;
        let flat = Tensor::randn([count], (Kind::Float, Device::Cpu));
        let mut update = Tensor::zeros([count], (Kind::Float, Device::Cpu));
        Together::new(&matrices, Device::Cpu).replace(&mut update, &flat);
        for (matrix, found) in matrices.iter().zip(orthogonal_in_memory(&flat, &matrices)) {
            let gap = part(matrix, &update) / matrix.size() - found;
            let gap = gap.abs().max().double_value(&[]);
            assert!(gap < 1e-4, "{matrix:?}: {gap}");
        }
        let ends = [update.narrow(0, 0, 7), update.narrow(0, count - 5, 5)];
        assert!(ends.iter().all(|end| end.abs().max().double_value(&[]) == 0.0), "ends changed");
    }

    #[test]
    fn a_hundred_steps_match_libtorchs_adamw() {
        let vars = nn::VarStore::new(Device::Cpu);
        let theirs = vars.root().var("x", &[3], nn::Init::Const(0.5));
        let mut optimizer = nn::adamw(0.9, 0.999, 0.01).build(&vars, 1e-2).unwrap();
        let mut ours = Tensor::full([3], 0.5, (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let mut adamw = TorchOptimizer::new(&ours, Vec::new());
        let decay = Tensor::full([3], 0.01, (Kind::Float, Device::Cpu));
        for step in 1..=100 {
            optimizer.backward_step(&loss(&theirs));
            loss(&ours).backward();
            let mut gradient = ours.grad();
            adamw.step(step, &mut ours, &gradient, 1e-2, &decay);
            let _ = gradient.zero_();
        }
        let gap = (&ours - &theirs).abs().max().double_value(&[]);
        assert!(gap < 1e-5, "{gap}");
    }
}
