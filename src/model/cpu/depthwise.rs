//! 3 × 3 convolutions, a channel at a time, one row of outputs at a time.

use super::shape::TAPS;
use super::simd::{LANES, Lanes, kernel};

kernel! {
    /// One row of outputs from three rows of inputs, border included.
    ///
    /// * `weights`: `[9, C]`; `first`: the pixel of the rows at which the first output's kernel begins.
    pub(super) fn convolve(out: &mut [f32], rows: [&[f32]; 3], weights: &[f32], first: usize, stride: usize) = convolve_body;
}

#[inline(always)]
fn convolve_body<L: Lanes>(
    out: &mut [f32],
    rows: [&[f32]; 3],
    weights: &[f32],
    first: usize,
    stride: usize,
) {
    let vectors = weights.len() / TAPS / LANES;
    let weights = weights.as_chunks::<LANES>().0;
    let out = out.as_chunks_mut::<LANES>().0;
    let rows = same_length(rows);
    for v in 0..vectors {
        let weights: [L; TAPS] = std::array::from_fn(|tap| L::load(&weights[tap * vectors + v]));
        let (mut at, mut to) = (first * vectors + v, v);
        while to < out.len() {
            // A sum a row: three short chains are through sooner than a long one.
            let (next, last) = (vectors, 2 * vectors);
            let [above, here, below] = window(&rows, at, last + 1);
            let a = L::load(&above[0]).mul(weights[0]);
            let b = L::load(&here[0]).mul(weights[3]);
            let c = L::load(&below[0]).mul(weights[6]);
            let a = L::load(&above[next]).mul_add(weights[1], a);
            let b = L::load(&here[next]).mul_add(weights[4], b);
            let c = L::load(&below[next]).mul_add(weights[7], c);
            let a = L::load(&above[last]).mul_add(weights[2], a);
            let b = L::load(&here[last]).mul_add(weights[5], b);
            let c = L::load(&below[last]).mul_add(weights[8], c);
            let sum = a.add(b).add(c);
            sum.store(&mut out[to]);
            at += stride * vectors;
            to += vectors;
        }
    }
}

kernel! {
    /// Adds one row's share to the gradient of the weights, `[9, C]`.
    ///
    /// * `gradient`: of a row of outputs; other arguments as for [`convolve`].
    pub(super) fn add_gradient(sums: &mut [f32], gradient: &[f32], rows: [&[f32]; 3], first: usize, stride: usize) = gradient_body;
}

#[inline(always)]
fn gradient_body<L: Lanes>(
    sums: &mut [f32],
    gradient: &[f32],
    rows: [&[f32]; 3],
    first: usize,
    stride: usize,
) {
    let vectors = sums.len() / TAPS / LANES;
    let sums = sums.as_chunks_mut::<LANES>().0;
    let gradient = gradient.as_chunks::<LANES>().0;
    let rows = same_length(rows);
    for v in 0..vectors {
        let mut taps: [L; TAPS] = std::array::from_fn(|tap| L::load(&sums[tap * vectors + v]));
        let (mut at, mut from) = (first * vectors + v, v);
        while from < gradient.len() {
            let gradient = L::load(&gradient[from]);
            from += vectors;
            let (next, last) = (vectors, 2 * vectors);
            let [above, here, below] = window(&rows, at, last + 1);
            taps[0] = L::load(&above[0]).mul_add(gradient, taps[0]);
            taps[1] = L::load(&above[next]).mul_add(gradient, taps[1]);
            taps[2] = L::load(&above[last]).mul_add(gradient, taps[2]);
            taps[3] = L::load(&here[0]).mul_add(gradient, taps[3]);
            taps[4] = L::load(&here[next]).mul_add(gradient, taps[4]);
            taps[5] = L::load(&here[last]).mul_add(gradient, taps[5]);
            taps[6] = L::load(&below[0]).mul_add(gradient, taps[6]);
            taps[7] = L::load(&below[next]).mul_add(gradient, taps[7]);
            taps[8] = L::load(&below[last]).mul_add(gradient, taps[8]);
            at += stride * vectors;
        }
        for (tap, sum) in taps.into_iter().enumerate() {
            sum.store(&mut sums[tap * vectors + v]);
        }
    }
}

/// What a kernel covers of its three rows: one check a row instead of one a tap.
#[inline(always)]
fn window<'a>(rows: &[&'a [[f32; LANES]]; 3], at: usize, length: usize) -> [&'a [[f32; LANES]]; 3] {
    [&rows[0][at..][..length], &rows[1][at..][..length], &rows[2][at..][..length]]
}

/// Rows of which the compiler knows that they are equally long, so that it checks them together.
#[inline(always)]
fn same_length(rows: [&[f32]; 3]) -> [&[[f32; LANES]]; 3] {
    let (above, here) = (rows[0].as_chunks::<LANES>().0, rows[1].as_chunks::<LANES>().0);
    let below = rows[2].as_chunks::<LANES>().0;
    [above, &here[..above.len()], &below[..above.len()]]
}
