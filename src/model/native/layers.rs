//! The layers that training and inference share.

use super::depthwise;
use super::gemm::{self, Left, Size};
use super::packed::Head;
use super::rows;
use super::shape::{
    Block, INPUT_ROW, STEM_KERNEL, STEM_SIDE, STEM_TERMS, head_columns, inner, outer, padded,
};
use crate::model::layout::{COORDINATES, GRIDS, STEM_CHANNELS};

/// Returns the input rows that row `y` of the stem's output depends on, as the left factor of a product.
pub(super) fn stem_rows(picture: &[f32], y: usize) -> Left<'_> {
    Left {
        values: &picture[2 * y * INPUT_ROW * 3..],
        row: 6,
        term: 1,
        segments: STEM_KERNEL,
        segment: INPUT_ROW * 3,
    }
}

/// Computes one row of the stem's output, `[64, 24]`, without bias.
pub(super) fn stem(picture: &[f32], y: usize, weight: &[f32], out: &mut [f32]) {
    let size = Size { rows: STEM_SIDE, terms: STEM_TERMS, columns: STEM_CHANNELS };
    gemm::multiply(size, stem_rows(picture, y), weight, STEM_CHANNELS, out, STEM_CHANNELS, false);
}

/// Returns the three rows of a bordered map that row `y` of a depthwise convolution reads, and the first pixel to read.
pub(super) fn kernel_rows<'a>(block: &Block, map: &'a [f32], y: usize) -> ([&'a [f32]; 3], usize) {
    let first = block.stride - 1;
    let row =
        |at: usize| &map[outer(y * block.stride + first + at, block.side_in, block.wide_in())];
    ([row(0), row(1), row(2)], first)
}

/// Computes one row of a block's depthwise convolution.
pub(super) fn depthwise(block: &Block, map: &[f32], y: usize, weights: &[f32], out: &mut [f32]) {
    let (rows, first) = kernel_rows(block, map, y);
    depthwise::convolve(out, rows, weights, first, block.stride);
}

/// Fills `out` with rows of a depthwise convolution, starting at row `first`.
pub(super) fn depthwise_rows(
    block: &Block,
    map: &[f32],
    first: usize,
    weights: &[f32],
    out: &mut [f32],
) {
    for (row, out) in out.chunks_exact_mut(block.side * block.wide_in()).enumerate() {
        depthwise(block, map, first + row, weights, out);
    }
}

/// Computes a block's pointwise convolution for some pixels.
///
/// * `weight`: `[I, O]`; `map`: `[P, I]`; `out`: `[P, O]`.
pub(super) fn pointwise(block: &Block, map: &[f32], weight: &[f32], out: &mut [f32]) {
    let (wide_in, wide) = (block.wide_in(), block.wide());
    let size = Size { rows: map.len() / wide_in, terms: block.inputs, columns: wide };
    gemm::multiply(size, Left::rows(map, wide_in), weight, wide, out, wide, false);
}

/// Computes one row of a block's output: `ReLU(map + shift + shortcut)`. The shortcut is the block's input,
/// max-pooled if the stride is 2.
///
/// * `input`: the block's bordered input; `map`: the pointwise convolution's row; `pooled`: scratch memory for a row.
pub(super) fn join(
    block: &Block,
    input: &[f32],
    y: usize,
    map: &[f32],
    shift: &[f32],
    pooled: &mut [f32],
    out: &mut [f32],
) {
    let (wide_in, side_in) = (block.wide_in(), block.side_in);
    let row = |y: usize| &input[inner(y, side_in, wide_in)];
    if block.stride == 1 {
        rows::join(out, map, shift, row(y), wide_in);
    } else {
        let pooled = &mut pooled[..block.side * wide_in];
        rows::pool(pooled, row(2 * y), row(2 * y + 1), wide_in);
        rows::join(out, map, shift, pooled, wide_in);
    }
}

/// Computes both heads of a grid.
///
/// * `map`: the grid's bordered map; `logits`: `[896]`, `coordinates`: `[896, 16]`; only this grid's anchors are set.
pub(super) fn heads(
    grid: usize,
    head: &Head,
    map: &[f32],
    logits: &mut [f32],
    coordinates: &mut [f32],
) {
    let shape = &GRIDS[grid];
    let (channels, columns) = (padded(shape.channels), padded(head_columns(shape)));
    let anchors = shape.anchors_per_cell;
    let first = first_anchor(grid);
    let mut row = vec![0.0; shape.side * columns];
    for y in 0..shape.side {
        let left = Left::rows(&map[inner(y, shape.side, channels)], channels);
        let size = Size { rows: shape.side, terms: shape.channels, columns };
        gemm::multiply(size, left, &head.weight, columns, &mut row, columns, false);
        for (x, cell) in row.chunks_exact_mut(columns).enumerate() {
            cell.iter_mut().zip(&head.bias).for_each(|(value, bias)| *value += bias);
            let at = first + (y * shape.side + x) * anchors;
            logits[at..at + anchors].copy_from_slice(&cell[..anchors]);
            let numbers = anchors * COORDINATES;
            let at = at * COORDINATES;
            coordinates[at..at + numbers].copy_from_slice(&cell[anchors..anchors + numbers]);
        }
    }
}

/// Returns the index of a grid's first anchor.
pub(super) fn first_anchor(grid: usize) -> usize {
    GRIDS[..grid].iter().map(|grid| grid.side * grid.side * grid.anchors_per_cell).sum()
}
