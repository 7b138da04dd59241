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
    let rows = rows.map(|row| row.as_chunks::<LANES>().0);
    for v in 0..vectors {
        let weights: [L; TAPS] = std::array::from_fn(|tap| L::load(&weights[tap * vectors + v]));
        let (mut at, mut to) = (first * vectors + v, v);
        while to < out.len() {
            // A sum a row: three short chains are through sooner than a long one.
            let (above, here, below) = (&rows[0][at..], &rows[1][at..], &rows[2][at..]);
            let (next, last) = (vectors, 2 * vectors);
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
    let rows = rows.map(|row| row.as_chunks::<LANES>().0);
    for v in 0..vectors {
        let mut taps: [L; TAPS] = std::array::from_fn(|tap| L::load(&sums[tap * vectors + v]));
        let (mut at, mut from) = (first * vectors + v, v);
        while from < gradient.len() {
            let gradient = L::load(&gradient[from]);
            from += vectors;
            for (row, taps) in rows.iter().zip(taps.as_chunks_mut::<3>().0) {
                let window = &row[at..];
                taps[0] = L::load(&window[0]).mul_add(gradient, taps[0]);
                taps[1] = L::load(&window[vectors]).mul_add(gradient, taps[1]);
                taps[2] = L::load(&window[2 * vectors]).mul_add(gradient, taps[2]);
            }
            at += stride * vectors;
        }
        for (tap, sum) in taps.into_iter().enumerate() {
            sum.store(&mut sums[tap * vectors + v]);
        }
    }
}
