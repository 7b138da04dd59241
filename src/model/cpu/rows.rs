//! What is done to one row of pixels at a time, while it is in the first cache. A row has `C` channels a pixel, a
//! multiple of 8, the same for all slices of a call unless it says otherwise.

use super::simd::{LANES, Lanes, kernel};

kernel! {
    /// `out = max(0, map × scale + shift + shortcut)`; `shortcut` has `narrow` channels, of which there may be fewer.
    pub(super) fn join(out: &mut [f32], map: &[f32], scale: &[f32], shift: &[f32], shortcut: &[f32], narrow: usize) = join_body;
}

#[inline(always)]
fn join_body<L: Lanes>(
    out: &mut [f32],
    map: &[f32],
    scale: &[f32],
    shift: &[f32],
    shortcut: &[f32],
    narrow: usize,
) {
    let (vectors, narrow) = (scale.len() / LANES, narrow / LANES);
    let (out, map) = (out.as_chunks_mut::<LANES>().0, map.as_chunks::<LANES>().0);
    let (scale, shift) = (scale.as_chunks::<LANES>().0, shift.as_chunks::<LANES>().0);
    let shortcut = shortcut.as_chunks::<LANES>().0;
    let zero = L::splat(0.0);
    for v in 0..vectors {
        let (scale, shift) = (L::load(&scale[v]), L::load(&shift[v]));
        let here = map.iter().skip(v).step_by(vectors);
        let out = out.iter_mut().skip(v).step_by(vectors);
        if v < narrow {
            let shortcut = shortcut.iter().skip(v).step_by(narrow);
            for ((out, here), shortcut) in out.zip(here).zip(shortcut) {
                L::load(here).mul_add(scale, shift).add(L::load(shortcut)).max(zero).store(out);
            }
        } else {
            for (out, here) in out.zip(here) {
                L::load(here).mul_add(scale, shift).max(zero).store(out);
            }
        }
    }
}

kernel! {
    /// Largest of each 2 × 2 pixels of two rows.
    pub(super) fn pool(out: &mut [f32], above: &[f32], below: &[f32], channels: usize) = pool_body;
}

#[inline(always)]
fn pool_body<L: Lanes>(out: &mut [f32], above: &[f32], below: &[f32], channels: usize) {
    let pairs = above.chunks_exact(2 * channels).zip(below.chunks_exact(2 * channels));
    for (out, (above, below)) in out.chunks_exact_mut(channels).zip(pairs) {
        let ((a, b), (c, d)) = (above.split_at(channels), below.split_at(channels));
        let vectors = |row| <[f32]>::as_chunks::<LANES>(row).0.iter().map(L::load);
        let all = vectors(a).zip(vectors(b)).zip(vectors(c).zip(vectors(d)));
        for (out, ((a, b), (c, d))) in out.as_chunks_mut::<LANES>().0.iter_mut().zip(all) {
            a.max(b).max(c.max(d)).store(out);
        }
    }
}

kernel! {
    /// `out = gradient × first + map × second + third`, channel by channel.
    pub(super) fn combine(out: &mut [f32], gradient: &[f32], map: &[f32], factors: [&[f32]; 3]) = combine_body;
}

#[inline(always)]
fn combine_body<L: Lanes>(out: &mut [f32], gradient: &[f32], map: &[f32], factors: [&[f32]; 3]) {
    let factors = factors.map(|factors| factors.as_chunks::<LANES>().0);
    let vectors = factors[0].len();
    for v in 0..vectors {
        let [first, second, third] = factors.map(|factors| L::load(&factors[v]));
        let out = out.as_chunks_mut::<LANES>().0.iter_mut().skip(v).step_by(vectors);
        let gradient = gradient.as_chunks::<LANES>().0.iter().skip(v).step_by(vectors);
        let map = map.as_chunks::<LANES>().0.iter().skip(v).step_by(vectors);
        for ((out, gradient), map) in out.zip(gradient).zip(map) {
            let rest = L::load(map).mul_add(second, third);
            L::load(gradient).mul_add(first, rest).store(out);
        }
    }
}

kernel! {
    /// `out = (out + other)` where `gate` is above 0, else 0; `other` has `wide` channels, of which the first are taken.
    pub(super) fn add_gated(out: &mut [f32], other: &[f32], wide: usize, gate: &[f32], channels: usize) = add_gated_body;
}

#[inline(always)]
fn add_gated_body<L: Lanes>(
    out: &mut [f32],
    other: &[f32],
    wide: usize,
    gate: &[f32],
    channels: usize,
) {
    let pixels = out.chunks_exact_mut(channels).zip(gate.chunks_exact(channels));
    for ((out, gate), other) in pixels.zip(other.chunks_exact(wide)) {
        let rest = gate.as_chunks::<LANES>().0.iter().zip(other.as_chunks::<LANES>().0);
        for (out, (gate, other)) in out.as_chunks_mut::<LANES>().0.iter_mut().zip(rest) {
            L::load(out).add(L::load(other)).where_positive(L::load(gate)).store(out);
        }
    }
}

kernel! {
    /// Adds up `a` and `a × b`, channel by channel: `sums` are `[2, C]`.
    pub(super) fn moments(a: &[f32], b: &[f32], sums: &mut [f64]) = moments_body;
}

#[inline(always)]
fn moments_body<L: Lanes>(a: &[f32], b: &[f32], sums: &mut [f64]) {
    let channels = sums.len() / 2;
    let vectors = channels / LANES;
    let (sums, products) = sums.split_at_mut(channels);
    let sums = sums.as_chunks_mut::<LANES>().0.iter_mut();
    let all = sums.zip(products.as_chunks_mut::<LANES>().0);
    for (v, (sums, products)) in all.enumerate() {
        let (mut sum, mut product) = (L::splat(0.0), L::splat(0.0));
        let b = b.as_chunks::<LANES>().0.iter().skip(v).step_by(vectors);
        for (a, b) in a.as_chunks::<LANES>().0.iter().skip(v).step_by(vectors).zip(b) {
            let a = L::load(a);
            sum = sum.add(a);
            product = a.mul_add(L::load(b), product);
        }
        for (total, more) in [(sums, sum), (products, product)] {
            let mut lanes = [0.0; LANES];
            more.store(&mut lanes);
            for (total, lane) in total.iter_mut().zip(lanes) {
                *total += f64::from(lane);
            }
        }
    }
}

/// Adds each pixel's gradient to the first of the largest of its 2 × 2 pixels.
///
/// * `gradient`: `[side / 2, wide]`; `above`, `below`: those pixels' values, `[side, channels]`; `into`: their
///   gradients.
pub(super) fn unpool(
    gradient: &[f32],
    wide: usize,
    rows: [&[f32]; 2],
    channels: usize,
    into: [&mut [f32]; 2],
) {
    let [above, below] = rows.map(|row| row.chunks_exact(2 * channels));
    let [into_above, into_below] = into.map(|row| row.chunks_exact_mut(2 * channels));
    let all = gradient.chunks_exact(wide).zip(above.zip(below)).zip(into_above.zip(into_below));
    for ((gradient, (above, below)), (into_above, into_below)) in all {
        for channel in 0..channels {
            let values = [
                above[channel],
                above[channels + channel],
                below[channel],
                below[channels + channel],
            ];
            let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let first = values.iter().position(|&value| value == largest).unwrap_or(0);
            let into = if first < 2 { &mut *into_above } else { &mut *into_below };
            into[(first % 2) * channels + channel] += gradient[channel];
        }
    }
}
