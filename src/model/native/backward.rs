//! The backward pass of one picture, a few rows of a block at a time. It recomputes the depthwise convolution's output
//! from the block's input, which is faster than fetching the output from memory.

use std::cell::RefCell;

use super::aligned::Aligned;
use super::depthwise;
use super::forward::Maps;
use super::gemm::{self, Left, Size};
use super::gradients::{BlockPlaces, Places, STEM_ROWS};
use super::layers::{self, first_anchor, kernel_rows, stem_rows};
use super::packed::Packed;
use super::rows;
use super::shape::{Block, PIXELS, STEM_SIDE, head_columns, inner, padded};
use crate::model::layout::{COORDINATES, FIRST_BACKBONE_BLOCKS, GRIDS, STEM_CHANNELS};

/// One picture's forward pass, and the gradient of its outputs.
pub(super) struct PictureRun<'a> {
    pub(super) pixels: &'a [f32], // [131, 131, 3]
    pub(super) maps: &'a Maps,
    /// The gradients of the logits and coordinates.
    pub(super) outputs: [&'a [f32]; 2], // [896], [896, 16]
}

/// A thread's scratch memory for one picture at a time.
#[derive(Default)]
struct Room {
    /// The gradient of the current block's output, before its `ReLU`.
    behind: Aligned, // [side, side, O]
    /// The gradient of the current block's input, before the preceding `ReLU`.
    before: Aligned, // [side_in, side_in, I]
    /// The gradient that the first grid's map gets from its heads.
    branch: Aligned, // [16, 16, C]
    /// One row of the heads' gradient, cell by cell.
    cells: Aligned, // [side, columns]
    /// Some rows of the depthwise convolution's output.
    depthwise: Aligned, // [64, I]
    /// The gradient of these rows.
    between: Aligned, // [64, I]
    ring: Ring,
}

/// The last three rows of a depthwise convolution's gradient, each with a pixel of zeros at both ends.
#[derive(Default)]
struct Ring {
    rows: [Aligned; 3], // [side + 2, I] each
    zeros: Aligned,     // [side + 2, I]
    /// Numbers in a row, including the border.
    length: usize,
    /// Rows in the map.
    side: usize,
}

impl Ring {
    fn clear(&mut self, block: &Block) {
        self.side = block.side;
        self.length = (block.side + 2) * block.wide_in();
        for row in self.rows.iter_mut().chain([&mut self.zeros]) {
            row.room(self.length).fill(0.0);
        }
    }

    /// Stores row `y` in place of row `y - 3`.
    fn push(&mut self, y: usize, row: &[f32]) {
        let border = (self.length - row.len()) / 2;
        self.rows[y % 3][border..border + row.len()].copy_from_slice(row);
    }

    /// Returns row `y`, one of the last three, or zeros for a row above or below the map.
    fn row(&self, y: Option<usize>) -> &[f32] {
        let row = match y {
            Some(y) if y < self.side => &self.rows[y % 3],
            _ => &self.zeros,
        };
        &row[..self.length]
    }
}

thread_local! {
    static ROOM: RefCell<Room> = RefCell::default();
}

/// Adds a picture's gradient to `gradients`.
pub(super) fn run(
    packed: &Packed,
    blocks: &[Block],
    places: &Places,
    picture: &PictureRun<'_>,
    gradients: &mut [f32],
) {
    ROOM.with_borrow_mut(|room| {
        let widest = blocks.iter().map(|b| b.side_in * b.side_in * b.wide_in()).max();
        room.behind.room(widest.unwrap_or(0));
        room.before.room(widest.unwrap_or(0));
        for (grid, at) in [FIRST_BACKBONE_BLOCKS, blocks.len()].into_iter().enumerate() {
            heads(packed, places, picture, (grid, at), room, gradients);
        }
        for (at, one) in blocks.iter().enumerate().rev() {
            block(packed, &places.blocks[at], (at, one), &picture.maps.inputs[at], room, gradients);
            std::mem::swap(&mut room.behind, &mut room.before);
        }
        stem(places, picture.pixels, &room.behind, gradients);
    });
}

/// Computes the gradient of a grid's map, element `at` of [`Maps::inputs`], from the gradient of its heads' outputs.
fn heads(
    packed: &Packed,
    places: &Places,
    picture: &PictureRun<'_>,
    (grid, at): (usize, usize),
    room: &mut Room,
    gradients: &mut [f32],
) {
    let shape = &GRIDS[grid];
    let (side, channels) = (shape.side, padded(shape.channels));
    let (terms, columns) = (head_columns(shape), padded(head_columns(shape)));
    let map = &picture.maps.inputs[at]; // [side + 2, side + 2, C]
    let cells = room.cells.room(side * columns); // [side, columns]
    let out = if grid == 0 { &mut room.branch } else { &mut room.behind };
    let out = out.room(side * side * channels); // [side, side, C]
    for (y, out) in out.chunks_exact_mut(side * channels).enumerate() {
        gather(cells, columns, picture.outputs, grid, y);
        let biases = &mut gradients[places.head_biases[grid].clone()];
        for cell in cells.chunks_exact(columns) {
            biases.iter_mut().zip(cell).for_each(|(sum, value)| *sum += *value);
        }
        let map = &map[inner(y, side, channels)]; // [side, C]
        let size = Size { rows: columns, terms: side, columns: channels };
        let (left, into) =
            (Left::columns(cells, columns), &mut gradients[places.heads[grid].clone()]);
        gemm::multiply(size, left, map, channels, into, channels, true);
        let size = Size { rows: side, terms, columns: channels };
        let (left, weight) = (Left::rows(cells, columns), &packed.heads[grid].transposed);
        gemm::multiply(size, left, weight, channels, out, channels, false);
        if grid == 1 {
            rows::gate(out, map);
        }
    }
}

/// Gathers row `y` of the gradients of a grid's two heads into `[side, columns]`, the layout of their forward product.
fn gather(
    cells: &mut [f32],
    columns: usize,
    [logits, coordinates]: [&[f32]; 2],
    grid: usize,
    y: usize,
) {
    let shape = &GRIDS[grid];
    let anchors = shape.anchors_per_cell;
    for (x, cell) in cells.chunks_exact_mut(columns).enumerate() {
        let first = first_anchor(grid) + (y * shape.side + x) * anchors;
        let (scores, rest) = cell.split_at_mut(anchors);
        let (numbers, spare) = rest.split_at_mut(anchors * COORDINATES);
        scores.copy_from_slice(&logits[first..first + anchors]);
        let from = &coordinates[first * COORDINATES..];
        numbers.copy_from_slice(&from[..numbers.len()]);
        spare.fill(0.0);
    }
}

/// Computes the gradient of a block's input from the gradient of its output, both before their `ReLU`.
fn block(
    packed: &Packed,
    places: &BlockPlaces,
    (at, block): (usize, &Block),
    input: &[f32],
    room: &mut Room,
    gradients: &mut [f32],
) {
    let (wide_in, wide) = (block.wide_in(), block.wide());
    let Room { behind, before, branch, depthwise: map, between, ring, .. } = room;
    let (map, between) = (map.room(PIXELS * wide_in), between.room(PIXELS * wide_in));
    ring.clear(block);
    let mut through = Through { packed, at, block, input, behind, before, branch };
    let at_once = PIXELS / block.side;
    for (chunk, first) in (0..block.side).step_by(at_once).enumerate() {
        let behind = &through.behind[chunk * PIXELS * wide..][..PIXELS * wide]; // [64, O]
        rows::add_up(behind, &mut gradients[places.shift.clone()]);
        layers::depthwise_rows(block, input, first, &packed.depthwise[at], map);
        let size = Size { rows: wide, terms: PIXELS, columns: wide_in };
        let (left, into) = (Left::columns(behind, wide), &mut gradients[places.pointwise.clone()]);
        gemm::multiply(size, left, map, wide_in, into, wide_in, true);
        let size = Size { rows: PIXELS, terms: block.outputs, columns: wide_in };
        let (left, weight) = (Left::rows(behind, wide), &packed.transposed[at]);
        gemm::multiply(size, left, weight, wide_in, between, wide_in, false);
        let taps = &mut gradients[places.depthwise.clone()];
        for (y, between) in (first..).zip(between.chunks_exact(block.side * wide_in)) {
            let (rows, pixel) = kernel_rows(block, input, y);
            depthwise::add_gradient(taps, between, rows, pixel, block.stride);
            ring.push(y, between);
            match (block.stride, y.checked_sub(1)) {
                (1, Some(complete)) => through.row(ring, complete),
                (1, None) => {}
                _ => through.pair_of_rows(ring, y),
            }
        }
    }
    if block.stride == 1 {
        through.row(ring, block.side - 1);
    }
}

/// The backward pass through a block's depthwise convolution, its shortcut and the preceding `ReLU`.
struct Through<'a> {
    packed: &'a Packed,
    at: usize,
    block: &'a Block,
    /// The block's input, with its border.
    input: &'a [f32], // [side_in + 2, side_in + 2, I]
    behind: &'a [f32],     // [side, side, O]
    before: &'a mut [f32], // [side_in, side_in, I]
    branch: &'a [f32],     // [16, 16, C]
}

impl Through<'_> {
    /// Computes row `y` of the input's gradient, for a block with stride 1.
    fn row(&mut self, ring: &Ring, y: usize) {
        let (wide, wide_in) = (self.block.wide(), self.block.wide_in());
        let length = self.block.side * wide_in;
        let rows = [y.checked_sub(1), Some(y), Some(y + 1)].map(|y| ring.row(y));
        let into = &mut self.before[y * length..(y + 1) * length]; // [side, I]
        depthwise::convolve(into, rows, &self.packed.flipped[self.at], 0, 1);
        let around = &self.behind[y * self.block.side * wide..][..self.block.side * wide];
        let gate = &self.input[inner(y, self.block.side, wide_in)];
        rows::add_gated(into, around, wide, gate, wide_in);
    }

    /// Computes rows 2`y` and 2`y` + 1 of the input's gradient from row `y` of the output's, for a block with stride 2.
    fn pair_of_rows(&mut self, ring: &Ring, y: usize) {
        let (wide, wide_in) = (self.block.wide(), self.block.wide_in());
        let length = self.block.side_in * wide_in;
        let pair = 2 * y * length..2 * (y + 1) * length;
        let gates = [2 * y, 2 * y + 1].map(|y| inner(y, self.block.side_in, wide_in));
        let [gate_above, gate_below] = gates.map(|row| &self.input[row]);
        let (above, below) = self.before[pair.clone()].split_at_mut(length); // [side_in, I] each
        let (ring_above, ring_here) = (ring.row(y.checked_sub(1)), ring.row(Some(y)));
        depthwise::spread(above, below, ring_above, ring_here, &self.packed.depthwise[self.at]);
        let around = &self.behind[y * self.block.side * wide..][..self.block.side * wide];
        rows::unpool(around, wide, gate_above, gate_below, wide_in, above, below);
        if self.at == FIRST_BACKBONE_BLOCKS {
            let (branch_above, branch_below) = self.branch[pair].split_at(length);
            rows::add_gated(above, branch_above, wide_in, gate_above, wide_in);
            rows::add_gated(below, branch_below, wide_in, gate_below, wide_in);
        } else {
            rows::gate(above, gate_above);
            rows::gate(below, gate_below);
        }
    }
}

/// Adds the gradient of the stem's weights.
fn stem(places: &Places, picture: &[f32], behind: &[f32], gradients: &mut [f32]) {
    let length = STEM_SIDE * STEM_CHANNELS;
    for (y, row) in behind.chunks_exact(length).take(STEM_SIDE).enumerate() {
        rows::add_up(row, &mut gradients[places.stem_bias.clone()]);
        let from = stem_rows(picture, y);
        let into = gradients[places.stem.clone()].chunks_exact_mut(STEM_ROWS * STEM_CHANNELS);
        for (kernel_row, into) in into.enumerate() {
            let left = Left::columns(&from.values[kernel_row * from.segment..], from.row);
            let size = Size { rows: STEM_ROWS, terms: STEM_SIDE, columns: STEM_CHANNELS };
            gemm::multiply(size, left, row, STEM_CHANNELS, into, STEM_CHANNELS, true);
        }
    }
}
