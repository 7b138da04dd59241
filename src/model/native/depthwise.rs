//! 3 × 3 depthwise convolutions, one row of outputs at a time.

use super::shape::TAPS;
use super::simd::{LANES, Lanes, kernel};

/// Neighbouring outputs that are computed together because they share inputs.
const PAIR: usize = 2;

kernel! {
    /// Computes one row of outputs, an even number of pixels, from three rows of inputs with their border.
    ///
    /// * `weights`: `[9, C]`; `first`: index of the first input pixel that the first output reads.
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
    match stride {
        1 => convolve_pairs::<L, 1, 4>(out, rows, weights, first),
        _ => convolve_pairs::<L, 2, 5>(out, rows, weights, first),
    }
}

/// * `COLUMNS`: input columns that two neighbouring outputs read.
#[inline(always)]
fn convolve_pairs<L: Lanes, const STRIDE: usize, const COLUMNS: usize>(
    out: &mut [f32],
    rows: [&[f32]; 3],
    weights: &[f32],
    first: usize,
) {
    let wide = weights.len() / TAPS / LANES;
    let weights = weights.as_chunks::<LANES>().0;
    let out = out.as_chunks_mut::<LANES>().0;
    let rows = same_length(rows);
    for v in 0..wide {
        let weights: [L; TAPS] = std::array::from_fn(|tap| L::load(&weights[tap * wide + v]));
        let mut at = first * wide + v;
        for out in out.chunks_exact_mut(PAIR * wide) {
            let window = window(&rows, at, (COLUMNS - 1) * wide + 1);
            // Sums the middle row separately: two short dependency chains finish sooner than one long chain.
            let mut sums = [[L::splat(0.0); 2]; PAIR];
            for (row, pixels) in window.into_iter().enumerate() {
                let pixels: [L; COLUMNS] = std::array::from_fn(|i| L::load(&pixels[i * wide]));
                for (output, sums) in sums.iter_mut().enumerate() {
                    let sum = &mut sums[row % 2];
                    for tap in 0..3 {
                        *sum = pixels[output * STRIDE + tap].mul_add(weights[row * 3 + tap], *sum);
                    }
                }
            }
            let [left, right] = sums.map(|[outer, middle]| outer.add(middle));
            left.store(&mut out[v]);
            right.store(&mut out[wide + v]);
            at += PAIR * STRIDE * wide;
        }
    }
}

kernel! {
    /// Computes rows 2y and 2y + 1 of the input gradient of a convolution with stride 2.
    ///
    /// * `even`, `odd`: the input gradient's rows 2y and 2y + 1, `[2 × side, C]`.
    /// * `above`, `here`: the output gradient's rows y − 1 and y, `[side + 1, C]`, starting with a pixel of zeros.
    pub(super) fn spread(even: &mut [f32], odd: &mut [f32], above: &[f32], here: &[f32], weights: &[f32]) = spread_body;
}

#[inline(always)]
fn spread_body<L: Lanes>(
    even: &mut [f32],
    odd: &mut [f32],
    above: &[f32],
    here: &[f32],
    weights: &[f32],
) {
    let wide = weights.len() / TAPS / LANES;
    let weights = weights.as_chunks::<LANES>().0;
    let (even, odd) = (even.as_chunks_mut::<LANES>().0, odd.as_chunks_mut::<LANES>().0);
    let (above, here) = (above.as_chunks::<LANES>().0, here.as_chunks::<LANES>().0);
    let above = &above[..here.len()];
    for v in 0..wide {
        let [w0, w1, w2, w3, w4, w5, w6, w7, w8]: [L; TAPS] =
            std::array::from_fn(|tap| L::load(&weights[tap * wide + v]));
        let outs = even.chunks_exact_mut(2 * wide).zip(odd.chunks_exact_mut(2 * wide));
        let mut at = v;
        let mut left = [L::load(&above[at]), L::load(&here[at])];
        for (even, odd) in outs {
            at += wide;
            let right = [L::load(&above[at]), L::load(&here[at])];
            // Output x reads inputs 2x, 2x + 1 and 2x + 2; the rows follow the same pattern.
            let sum = right[1].mul_add(w0, left[1].mul(w2));
            let sum = right[0].mul_add(w6, left[0].mul_add(w8, sum));
            sum.store(&mut even[v]);
            right[1].mul_add(w1, right[0].mul(w7)).store(&mut even[wide + v]);
            right[1].mul_add(w3, left[1].mul(w5)).store(&mut odd[v]);
            right[1].mul(w4).store(&mut odd[wide + v]);
            left = right;
        }
    }
}

kernel! {
    /// Adds one row's contribution to the gradient of the weights, `[9, C]`.
    ///
    /// * `gradient`: the gradient of a row of outputs; the other arguments are as for [`convolve`].
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
    match stride {
        1 => gradient_pairs::<L, 1, 4>(sums, gradient, rows, first),
        _ => gradient_pairs::<L, 2, 5>(sums, gradient, rows, first),
    }
}

#[inline(always)]
fn gradient_pairs<L: Lanes, const STRIDE: usize, const COLUMNS: usize>(
    sums: &mut [f32],
    gradient: &[f32],
    rows: [&[f32]; 3],
    first: usize,
) {
    let wide = sums.len() / TAPS / LANES;
    let sums = sums.as_chunks_mut::<LANES>().0;
    let gradient = gradient.as_chunks::<LANES>().0;
    let rows = same_length(rows);
    for v in 0..wide {
        let mut taps: [L; TAPS] = std::array::from_fn(|tap| L::load(&sums[tap * wide + v]));
        let mut at = first * wide + v;
        for gradient in gradient.chunks_exact(PAIR * wide) {
            let gradient = [L::load(&gradient[v]), L::load(&gradient[wide + v])];
            let window = window(&rows, at, (COLUMNS - 1) * wide + 1);
            for (row, pixels) in window.into_iter().enumerate() {
                let pixels: [L; COLUMNS] = std::array::from_fn(|i| L::load(&pixels[i * wide]));
                for tap in 0..3 {
                    let sum = &mut taps[row * 3 + tap];
                    *sum = pixels[tap].mul_add(gradient[0], *sum);
                    *sum = pixels[STRIDE + tap].mul_add(gradient[1], *sum);
                }
            }
            at += PAIR * STRIDE * wide;
        }
        for (tap, sum) in taps.into_iter().enumerate() {
            sum.store(&mut sums[tap * wide + v]);
        }
    }
}

/// Returns the part of three rows under a kernel, with one bounds check per row instead of one per tap.
#[inline(always)]
fn window<'a>(rows: &[&'a [[f32; LANES]]; 3], at: usize, length: usize) -> [&'a [[f32; LANES]]; 3] {
    [&rows[0][at..][..length], &rows[1][at..][..length], &rows[2][at..][..length]]
}

/// Cuts the rows to the same length, so that the compiler can merge their bounds checks.
#[inline(always)]
fn same_length(rows: [&[f32]; 3]) -> [&[[f32; LANES]]; 3] {
    let (above, here) = (rows[0].as_chunks::<LANES>().0, rows[1].as_chunks::<LANES>().0);
    let below = rows[2].as_chunks::<LANES>().0;
    [above, &here[..above.len()], &below[..above.len()]]
}
