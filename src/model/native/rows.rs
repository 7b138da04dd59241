//! Operations on one row of pixels at a time, while the row is in the L1 cache. Each pixel has `C` channels, a multiple
//! of 8. All slices of a call have the same `C` unless stated otherwise.

use super::simd::{LANES, Lanes, kernel};

kernel! {
    /// Computes `out = max(0, map + shift + shortcut)`. `shortcut` has `narrow` channels, which may be fewer than `C`.
    pub(super) fn join(out: &mut [f32], map: &[f32], shift: &[f32], shortcut: &[f32], narrow: usize) = join_body;
}

#[inline(always)]
fn join_body<L: Lanes>(
    out: &mut [f32],
    map: &[f32],
    shift: &[f32],
    shortcut: &[f32],
    narrow: usize,
) {
    let (wide, narrow) = (shift.len() / LANES, narrow / LANES);
    let (shift, shortcut) = (vectors(shift), vectors(shortcut));
    let zero = L::splat(0.0);
    let pixels = vectors_mut(out).chunks_exact_mut(wide).zip(vectors(map).chunks_exact(wide));
    for (at, (out, map)) in pixels.enumerate() {
        let shortcut = &shortcut[at * narrow..][..narrow];
        for v in 0..narrow {
            let sum = L::load(&map[v]).add(L::load(&shift[v]));
            sum.add(L::load(&shortcut[v])).max(zero).store(&mut out[v]);
        }
        for v in narrow..wide {
            L::load(&map[v]).add(L::load(&shift[v])).max(zero).store(&mut out[v]);
        }
    }
}

kernel! {
    /// Max-pools two rows: takes the largest value of each 2 × 2 pixels.
    pub(super) fn pool(out: &mut [f32], above: &[f32], below: &[f32], channels: usize) = pool_body;
}

#[inline(always)]
fn pool_body<L: Lanes>(out: &mut [f32], above: &[f32], below: &[f32], channels: usize) {
    let wide = channels / LANES;
    let pairs = vectors(above).chunks_exact(2 * wide).zip(vectors(below).chunks_exact(2 * wide));
    for (out, (above, below)) in vectors_mut(out).chunks_exact_mut(wide).zip(pairs) {
        for v in 0..wide {
            let above = L::load(&above[v]).max(L::load(&above[wide + v]));
            let below = L::load(&below[v]).max(L::load(&below[wide + v]));
            above.max(below).store(&mut out[v]);
        }
    }
}

kernel! {
    /// Adds `other` to `out`, then sets `out` to 0 unless `gate` is above 0. `other` has `wide` channels, of which only
    /// the first `channels` are used.
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
    let (channels, wide) = (channels / LANES, wide / LANES);
    let pixels = vectors_mut(out).chunks_exact_mut(channels);
    let pixels = pixels.zip(vectors(gate).chunks_exact(channels));
    for ((out, gate), other) in pixels.zip(vectors(other).chunks_exact(wide)) {
        let other = &other[..channels];
        for v in 0..channels {
            let sum = L::load(&out[v]).add(L::load(&other[v]));
            sum.where_positive(L::load(&gate[v])).store(&mut out[v]);
        }
    }
}

kernel! {
    /// Sets `out` to 0 unless `gate` is above 0.
    pub(super) fn gate(out: &mut [f32], gate: &[f32]) = gate_body;
}

#[inline(always)]
fn gate_body<L: Lanes>(out: &mut [f32], gate: &[f32]) {
    for (out, gate) in vectors_mut(out).iter_mut().zip(vectors(gate)) {
        L::load(out).where_positive(L::load(gate)).store(out);
    }
}

kernel! {
    /// Adds the values and their squares to `sums`, `[2, C]`, per channel. The number of pixels is a multiple of 4.
    pub(super) fn moments(values: &[f32], sums: &mut [f64]) = moments_body;
}

#[inline(always)]
fn moments_body<L: Lanes>(values: &[f32], sums: &mut [f64]) {
    let channels = sums.len() / 2;
    let wide = channels / LANES;
    let (sums, squares) = sums.split_at_mut(channels);
    let (sums, squares) = (sums.as_chunks_mut().0, squares.as_chunks_mut().0);
    let values = vectors(values);
    debug_assert!(values.len().is_multiple_of(CHAINS * wide));
    for (v, (sums, squares)) in sums.iter_mut().zip(squares).enumerate() {
        // Several independent sums: a single sum would wait for each addition.
        let mut sum = [L::splat(0.0); CHAINS];
        let mut square = sum;
        for pixels in values.chunks_exact(CHAINS * wide) {
            for chain in 0..CHAINS {
                let value = L::load(&pixels[chain * wide + v]);
                sum[chain] = sum[chain].add(value);
                square[chain] = value.mul_add(value, square[chain]);
            }
        }
        for (totals, [a, b, c, d]) in [(sums, sum), (squares, square)] {
            a.add(b).add(c.add(d)).add_to(totals);
        }
    }
}

kernel! {
    /// Adds the values to `sums`, `[C]`, per channel. The number of pixels is a multiple of 4.
    pub(super) fn add_up(values: &[f32], sums: &mut [f32]) = add_up_body;
}

#[inline(always)]
fn add_up_body<L: Lanes>(values: &[f32], sums: &mut [f32]) {
    let wide = sums.len() / LANES;
    let values = vectors(values);
    debug_assert!(values.len().is_multiple_of(CHAINS * wide));
    for (v, sums) in vectors_mut(sums).iter_mut().enumerate() {
        let mut sum = [L::splat(0.0); CHAINS];
        for pixels in values.chunks_exact(CHAINS * wide) {
            for (chain, sum) in sum.iter_mut().enumerate() {
                *sum = sum.add(L::load(&pixels[chain * wide + v]));
            }
        }
        let [a, b, c, d] = sum;
        L::load(sums).add(a.add(b).add(c.add(d))).store(sums);
    }
}

/// Independent partial sums per channel.
const CHAINS: usize = 4;

kernel! {
    /// Adds each pooled pixel's gradient to the largest of its 2 × 2 pixels, or to the first of several largest ones.
    ///
    /// * `gradient`: `[side / 2, wide]`; `above`, `below`: the pixels' values, `[side, channels]`; `into_above`,
    ///   `into_below`: the pixels' gradients.
    pub(super) fn unpool(gradient: &[f32], wide: usize, above: &[f32], below: &[f32], channels: usize, into_above: &mut [f32], into_below: &mut [f32]) = unpool_body;
}

#[inline(always)]
fn unpool_body<L: Lanes>(
    gradient: &[f32],
    wide: usize,
    above: &[f32],
    below: &[f32],
    channels: usize,
    into_above: &mut [f32],
    into_below: &mut [f32],
) {
    let (channels, wide) = (channels / LANES, wide / LANES);
    let pair = 2 * channels;
    let values = vectors(above).chunks_exact(pair).zip(vectors(below).chunks_exact(pair));
    let into = vectors_mut(into_above).chunks_exact_mut(pair);
    let into = into.zip(vectors_mut(into_below).chunks_exact_mut(pair));
    let all = vectors(gradient).chunks_exact(wide).zip(values).zip(into);
    for ((gradient, (above, below)), (into_above, into_below)) in all {
        for v in 0..channels {
            let [a, b] = [L::load(&above[v]), L::load(&above[channels + v])];
            let [c, d] = [L::load(&below[v]), L::load(&below[channels + v])];
            let largest = a.max(b).max(c.max(d));
            // Subtracts each assigned gradient, so that no other pixel gets it.
            let rest = L::load(&gradient[v]);
            let to_a = rest.where_equal(a, largest);
            let rest = rest.sub(to_a);
            let to_b = rest.where_equal(b, largest);
            let rest = rest.sub(to_b);
            let to_c = rest.where_equal(c, largest);
            let to_d = rest.sub(to_c);
            let [left, right] = [v, channels + v];
            L::load(&into_above[left]).add(to_a).store(&mut into_above[left]);
            L::load(&into_above[right]).add(to_b).store(&mut into_above[right]);
            L::load(&into_below[left]).add(to_c).store(&mut into_below[left]);
            L::load(&into_below[right]).add(to_d).store(&mut into_below[right]);
        }
    }
}

#[inline(always)]
fn vectors(values: &[f32]) -> &[[f32; LANES]] {
    values.as_chunks().0
}

#[inline(always)]
fn vectors_mut(values: &mut [f32]) -> &mut [[f32; LANES]] {
    values.as_chunks_mut().0
}
