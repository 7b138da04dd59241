//! Newton–Schulz iterations on the optimizer's small matrices.

use super::gemm::{self, Left, Size};
use super::shape::padded;

/// Repeats X ← aX + (bXXᵀ + c(XXᵀ)²)X, starting from the matrix divided by its norm. With suitable coefficients, X
/// approaches the nearest matrix whose singular values are all 1.
///
/// * `matrix`: row-major, with at most a few hundred rows and columns.
pub fn newton_schulz(
    matrix: &[f32],
    columns: usize,
    [a, b, c]: [f32; 3],
    iterations: usize,
) -> Vec<f32> {
    let rows = matrix.len() / columns;
    let is_tall = rows > columns;
    let (short, long) = if is_tall { (columns, rows) } else { (rows, columns) };
    let (high, wide) = (padded(short), padded(long));
    let norm = matrix.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt() + 1e-7;
    // The padding rows and columns stay zero.
    let mut xs = vec![0.0; high * wide];
    for (at, value) in matrix.iter().enumerate() {
        let (row, column) = (at / columns, at % columns);
        let to = if is_tall { column * wide + row } else { row * wide + column };
        xs[to] = (f64::from(*value) / norm) as f32;
    }
    let (mut square, mut factor) = (vec![0.0; high * high], vec![0.0; high * high]);
    let (mut turned, mut product) = (vec![0.0; wide * high], vec![0.0; high * wide]);
    let small = Size { rows: high, terms: high, columns: high };
    for _ in 0..iterations {
        for (at, value) in xs.iter().enumerate() {
            turned[at % wide * high + at / wide] = *value;
        }
        let size = Size { rows: high, terms: wide, columns: high };
        gemm::multiply(size, Left::rows(&xs, wide), &turned, high, &mut square, high, false);
        gemm::multiply(small, Left::rows(&square, high), &square, high, &mut factor, high, false);
        factor
            .iter_mut()
            .zip(&square)
            .for_each(|(factor, square)| *factor = *square * b + *factor * c);
        let size = Size { rows: high, terms: high, columns: wide };
        gemm::multiply(size, Left::rows(&factor, high), &xs, wide, &mut product, wide, false);
        xs.iter_mut().zip(&product).for_each(|(x, product)| *x = *x * a + *product);
    }
    (0..matrix.len())
        .map(|at| {
            let (row, column) = (at / columns, at % columns);
            xs[if is_tall { column * wide + row } else { row * wide + column }]
        })
        .collect()
}
