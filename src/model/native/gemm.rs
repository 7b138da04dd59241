//! Products of small matrices: a few hundred rows at most, with one column per channel.

use super::simd::{LANES, Lanes, kernel};

/// The left factor of a product. The element of row `m` and term `k` is at `m × row + k × term` in each segment.
/// Segments are `segment` elements apart in this factor and `terms` rows apart in the right factor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left<'a> {
    pub(super) values: &'a [f32], // [rows, segments × terms]
    pub(super) row: usize,
    pub(super) term: usize,
    pub(super) segments: usize,
    pub(super) segment: usize,
}

impl<'a> Left<'a> {
    /// Wraps a row-major matrix.
    pub(super) fn rows(values: &'a [f32], row: usize) -> Self {
        Self { values, row, term: 1, segments: 1, segment: 0 }
    }

    /// Wraps a column-major matrix.
    pub(super) fn columns(values: &'a [f32], term: usize) -> Self {
        Self { values, row: 1, term, segments: 1, segment: 0 }
    }
}

/// The sizes of a product. `rows` is a multiple of 4, `columns` a multiple of 8.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) rows: usize,
    pub(super) terms: usize,
    pub(super) columns: usize,
}

kernel! {
    /// Computes `out = left × right`, or `out += left × right` if `add` is set.
    ///
    /// * `left`: `[rows, segments × terms]`; `right`: `[segments × terms, columns]`, rows `stride` apart; `out`:
    ///   `[rows, columns]`, rows `out_row` apart.
    pub(super) fn multiply(size: Size, left: Left<'_>, right: &[f32], stride: usize, out: &mut [f32], out_row: usize, add: bool) = body;
}

#[inline(always)]
fn body<L: Lanes>(
    size: Size,
    left: Left<'_>,
    right: &[f32],
    stride: usize,
    out: &mut [f32],
    out_row: usize,
    add: bool,
) {
    debug_assert!(size.rows.is_multiple_of(TILE_ROWS) && size.columns.is_multiple_of(LANES));
    let vectors = size.columns / LANES;
    let mut done = 0;
    while done < vectors {
        // Three or two vectors at a time; a single vector only if no more are left.
        let rest = vectors - done;
        let width = match rest {
            1 => 1,
            2 | 4 => 2,
            _ => 3,
        };
        let column = done * LANES;
        let right = &right[column..];
        let out = &mut out[column..];
        let mut row = 0;
        while row < size.rows {
            let left = Left { values: &left.values[row * left.row..], ..left };
            let out = &mut out[row * out_row..];
            match width {
                1 => tile::<L, 1>(size.terms, left, right, stride, out, out_row, add),
                2 => tile::<L, 2>(size.terms, left, right, stride, out, out_row, add),
                _ => tile::<L, 3>(size.terms, left, right, stride, out, out_row, add),
            }
            row += TILE_ROWS;
        }
        done += width;
    }
}

/// Rows of a tile. With three vectors per row, the sums and their operands fill 16 registers.
const TILE_ROWS: usize = 4;

/// Computes `TILE_ROWS` rows of `V` vectors of the product, with all sums in registers.
#[inline(always)]
fn tile<L: Lanes, const V: usize>(
    terms: usize,
    left: Left<'_>,
    right: &[f32],
    stride: usize,
    out: &mut [f32],
    out_row: usize,
    add: bool,
) {
    let mut sums = [[L::splat(0.0); V]; TILE_ROWS]; // [4, V × 8]
    for segment in 0..left.segments {
        let values = &left.values[segment * left.segment..];
        let right = &right[segment * terms * stride..];
        if left.term == 1 {
            let rows: [&[f32]; TILE_ROWS] =
                std::array::from_fn(|m| &values[m * left.row..][..terms]);
            for k in 0..terms {
                let vectors: [L; V] = vectors(&right[k * stride..]);
                for m in 0..TILE_ROWS {
                    let factor = L::splat(rows[m][k]);
                    for v in 0..V {
                        sums[m][v] = factor.mul_add(vectors[v], sums[m][v]);
                    }
                }
            }
        } else {
            for k in 0..terms {
                let vectors: [L; V] = vectors(&right[k * stride..]);
                let factors: &[f32; TILE_ROWS] =
                    values[k * left.term..].first_chunk().expect("a row");
                for m in 0..TILE_ROWS {
                    let factor = L::splat(factors[m]);
                    for v in 0..V {
                        sums[m][v] = factor.mul_add(vectors[v], sums[m][v]);
                    }
                }
            }
        }
    }
    for m in 0..TILE_ROWS {
        let (out, _) = out[m * out_row..].as_chunks_mut::<LANES>();
        let out: &mut [[f32; LANES]; V] = out.first_chunk_mut().expect("a row");
        for v in 0..V {
            let sum = if add { sums[m][v].add(L::load(&out[v])) } else { sums[m][v] };
            sum.store(&mut out[v]);
        }
    }
}

#[inline(always)]
fn vectors<L: Lanes, const V: usize>(row: &[f32]) -> [L; V] {
    let (chunks, _) = row.as_chunks::<LANES>();
    let chunks: &[[f32; LANES]; V] = chunks.first_chunk().expect("a row");
    std::array::from_fn(|v| L::load(&chunks[v]))
}
