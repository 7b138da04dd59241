//! Backward through the layers: again two passes over the pictures for each block, since BatchNorm's gradient needs
//! sums over the whole batch.

use std::cell::RefCell;

use super::aligned::Aligned;
use super::depthwise;
use super::gemm::{self, Left, Size};
use super::inference::clear_border;
use super::inputs::Inputs;
use super::layers::{first_anchor, kernel_rows, stem_rows};
use super::packed::{Packed, stem_at};
use super::rows;
use super::shape::{
    Block, PIXELS, STEM_KERNEL, STEM_SIDE, STEM_TERMS, Slots, TAPS, head_columns, inner, outer,
    padded,
};
use super::tape::{self, Gradients, Maps, STEM_ROWS};
use super::training::{Layers, Training};
use crate::model::layout::{ANCHORS, COORDINATES, FIRST_BACKBONE_BLOCKS, GRIDS, STEM_CHANNELS};

/// Room for what lives only within one layer of one picture, a thread's own.
#[derive(Default)]
struct Scratch {
    /// Some pixels' gradient behind a convolution.
    pixels: Aligned,
    /// A depthwise convolution's gradient, with a border.
    bordered: Aligned,
    /// Numbers that stay 0.
    zeros: Aligned,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// * `outputs`: the gradients of logits and coordinates.
pub(super) fn run(
    training: &mut Training,
    layers: &Layers,
    inputs: &Inputs,
    outputs: [&[f32]; 2],
    into: &mut [f32],
) {
    let Training { slots, blocks, groups, .. } = training;
    for group in groups.iter_mut() {
        group.gradients.clear();
    }
    let packed = &layers.packed;
    let wide = blocks.last().map_or(0, Block::wide);
    let mut sums = tape::over_pictures(groups, wide, |maps, sums, gradients| {
        with_scratch(|scratch| heads(blocks, packed, maps, outputs, scratch, gradients, sums));
    });
    for (at, block) in blocks.iter().enumerate().rev() {
        let [first, second] = &layers.blocks[at];
        let [first_slot, second_slot] = &slots.blocks[at];
        let factors = second.backward(second_slot, &sums, into);
        let behind: Vec<f64> = sums[..block.wide()].to_vec();
        sums = tape::over_pictures(groups, block.wide_in(), |maps, sums, gradients| {
            with_scratch(|scratch| {
                pointwise(block, at, packed, maps, &factors, scratch, gradients, sums);
            });
        });
        let factors = first.backward(first_slot, &sums, into);
        let flipped = flipped(&packed.depthwise[at], block.wide_in());
        sums = tape::over_pictures(groups, block.wide_in(), |maps, sums, gradients| {
            with_scratch(|scratch| {
                depthwise_pass(block, at, &flipped, maps, &factors, scratch, gradients, sums);
            });
        });
        // Without BatchNorm behind, a constant that comes through has a gradient.
        let constant = if second.is_batch() { vec![0.0; behind.len()] } else { behind };
        let whole = total(groups, |gradients| &gradients.pointwise[at]);
        let weight = &mut into[second_slot.weight.clone()];
        for (output, row) in weight.chunks_exact_mut(block.inputs).enumerate() {
            for (input, value) in row.iter_mut().enumerate() {
                let found = whole[output * block.wide_in() + input] * first.scale[input];
                *value = found + constant[output] as f32 * first.shift[input];
            }
        }
        let whole = total(groups, |gradients| &gradients.depthwise[at]);
        for (channel, taps) in into[first_slot.weight.clone()].chunks_exact_mut(TAPS).enumerate() {
            for (tap, value) in taps.iter_mut().enumerate() {
                *value = whole[tap * block.wide_in() + channel];
            }
        }
    }
    let factors = layers.stem.backward(&slots.stem, &sums, into);
    tape::over_pictures(groups, 0, |maps, _, gradients| {
        with_scratch(|scratch| stem(inputs, maps, &factors, scratch, gradients));
    });
    write_stem_and_heads(groups, slots, into);
}

fn with_scratch(work: impl FnOnce(&mut Scratch)) {
    SCRATCH.with_borrow_mut(work);
}

/// The sum over the groups, in order.
fn total(groups: &[tape::Group], of: impl Fn(&Gradients) -> &Aligned) -> Aligned {
    let mut groups = groups.iter().map(|group| of(&group.gradients));
    let mut sum = groups.next().cloned().unwrap_or_default();
    for more in groups {
        sum.iter_mut().zip(&**more).for_each(|(sum, more)| *sum += more);
    }
    sum
}

/// The taps of a depthwise convolution in reverse, `[9, C]`.
fn flipped(weights: &[f32], wide: usize) -> Aligned {
    let mut flipped = Aligned::zeros(weights.len());
    let taps = flipped.chunks_exact_mut(wide).zip(weights.chunks_exact(wide).rev());
    taps.for_each(|(into, tap)| into.copy_from_slice(tap));
    flipped
}

/// From the outputs to the gradient behind the last block, and to the branch's.
fn heads(
    blocks: &[Block],
    packed: &Packed,
    maps: &mut Maps,
    [logits, coordinates]: [&[f32]; 2],
    scratch: &mut Scratch,
    gradients: &mut Gradients,
    sums: &mut [f64],
) {
    let Maps { index, inputs, pointwise, gradients: [last, _], branch, .. } = maps;
    let logits = &logits[*index * ANCHORS..][..ANCHORS];
    let coordinates = &coordinates[*index * ANCHORS * COORDINATES..][..ANCHORS * COORDINATES];
    for (grid, at) in [FIRST_BACKBONE_BLOCKS, blocks.len()].into_iter().enumerate() {
        let shape = &GRIDS[grid];
        let (side, channels) = (shape.side, padded(shape.channels));
        let (terms, columns) = (head_columns(shape), padded(head_columns(shape)));
        let pixels = scratch.pixels.room(side * columns);
        for y in 0..side {
            for (x, cell) in pixels.chunks_exact_mut(columns).enumerate() {
                let anchors = shape.anchors_per_cell;
                let first = first_anchor(grid) + (y * side + x) * anchors;
                let (scores, rest) = cell.split_at_mut(anchors);
                let (numbers, spare) = rest.split_at_mut(anchors * COORDINATES);
                scores.copy_from_slice(&logits[first..first + anchors]);
                let from = &coordinates[first * COORDINATES..];
                numbers.copy_from_slice(&from[..numbers.len()]);
                spare.fill(0.0);
                for (sum, value) in gradients.biases[grid].iter_mut().zip(&*cell) {
                    *sum += *value;
                }
            }
            let map = &inputs[at][inner(y, side, channels)];
            let size = Size { rows: columns, terms: side, columns: channels };
            let into = &mut gradients.heads[grid];
            gemm::multiply(
                size,
                Left::columns(pixels, columns),
                map,
                channels,
                into,
                channels,
                true,
            );
            let out = if grid == 0 { &mut *branch } else { &mut *last };
            let out = &mut out[y * side * channels..(y + 1) * side * channels];
            let size = Size { rows: side, terms, columns: channels };
            let weight = &packed.heads[grid].transposed;
            gemm::multiply(
                size,
                Left::rows(pixels, columns),
                weight,
                channels,
                out,
                channels,
                false,
            );
            if grid == 1 {
                let zeros = scratch.zeros.room(side * channels);
                rows::add_gated(out, zeros, channels, map, channels);
                let row = y * side * channels;
                rows::moments(out, &pointwise[at - 1][row..row + side * channels], sums);
            }
        }
    }
}

/// Through a block's second BatchNorm and its pointwise convolution.
#[expect(clippy::too_many_arguments, reason = "one pass over a picture")]
fn pointwise(
    block: &Block,
    at: usize,
    packed: &Packed,
    maps: &mut Maps,
    factors: &[Vec<f32>; 3],
    scratch: &mut Scratch,
    gradients: &mut Gradients,
    sums: &mut [f64],
) {
    let (wide_in, wide) = (block.wide_in(), block.wide());
    let factors = factors.each_ref().map(Vec::as_slice);
    let pixels = scratch.pixels.room(PIXELS * wide);
    let into = &mut gradients.pointwise[at];
    let gradient = maps.gradients[0].chunks_exact(PIXELS * wide);
    let outputs = maps.pointwise[at].chunks_exact(PIXELS * wide);
    let inputs = maps.depthwise[at].chunks_exact(PIXELS * wide_in);
    let between = maps.between.chunks_exact_mut(PIXELS * wide_in);
    for ((gradient, map), (inputs, between)) in gradient.zip(outputs).zip(inputs.zip(between)) {
        rows::combine(pixels, gradient, map, factors);
        let size = Size { rows: PIXELS, terms: block.outputs, columns: wide_in };
        let weight = &packed.transposed[at];
        gemm::multiply(size, Left::rows(pixels, wide), weight, wide_in, between, wide_in, false);
        let size = Size { rows: wide, terms: PIXELS, columns: wide_in };
        gemm::multiply(size, Left::columns(pixels, wide), inputs, wide_in, into, wide_in, true);
        rows::moments(between, inputs, sums);
    }
}

/// Through its first `BatchNorm` and its depthwise convolution, around it, and through the `ReLU` before.
#[expect(clippy::too_many_arguments, reason = "one pass over a picture")]
fn depthwise_pass(
    block: &Block,
    at: usize,
    flipped: &[f32],
    maps: &mut Maps,
    factors: &[Vec<f32>; 3],
    scratch: &mut Scratch,
    gradients: &mut Gradients,
    sums: &mut [f64],
) {
    let (side, side_in, wide) = (block.side, block.side_in, block.wide_in());
    let factors = factors.each_ref().map(Vec::as_slice);
    let length = side * wide;
    let row = scratch.pixels.room(length);
    let bordered = scratch.bordered.room(block.bordered_in());
    if block.stride == 1 {
        clear_border(bordered, side_in, wide);
    } else {
        bordered.fill(0.0); // Outputs' gradients stand apart, with zeros between.
    }
    let between = maps.between.chunks_exact(length);
    for (y, (between, map)) in between.zip(maps.depthwise[at].chunks_exact(length)).enumerate() {
        rows::combine(row, between, map, factors);
        let (rows, first) = kernel_rows(block, &maps.inputs[at], y);
        depthwise::add_gradient(&mut gradients.depthwise[at], row, rows, first, block.stride);
        if block.stride == 1 {
            bordered[inner(y, side_in, wide)].copy_from_slice(row);
        } else {
            let into = &mut bordered[outer(2 * y + 2, side_in, wide)][2 * wide..];
            for (into, pixel) in into.chunks_mut(2 * wide).zip(row.chunks_exact(wide)) {
                into[..wide].copy_from_slice(pixel);
            }
        }
    }
    let zeros = scratch.zeros.room(side_in * wide);
    let Maps { inputs, stem, pointwise, gradients: [behind, before], branch, .. } = maps;
    let map = if at == 0 { &*stem } else { &pointwise[at - 1] };
    let length_in = side_in * wide;
    for y in 0..side {
        let into = &mut before[y * block.stride * length_in..][..block.stride * length_in];
        for (i, into) in into.chunks_exact_mut(length_in).enumerate() {
            let row = |at: usize| &bordered[outer(y * block.stride + i + at, side_in, wide)];
            depthwise::convolve(into, [row(0), row(1), row(2)], flipped, 0, 1);
        }
        let around = &behind[y * side * block.wide()..(y + 1) * side * block.wide()];
        if block.stride == 2 {
            let (above, below) = into.split_at_mut(length_in);
            let [row_above, row_below] =
                [2 * y, 2 * y + 1].map(|y| &inputs[at][inner(y, side_in, wide)]);
            rows::unpool(around, block.wide(), row_above, row_below, wide, above, below);
        }
        for (i, into) in into.chunks_exact_mut(length_in).enumerate() {
            let y = y * block.stride + i;
            let here = y * length_in..(y + 1) * length_in;
            let gate = &inputs[at][inner(y, side_in, wide)];
            match block.stride {
                1 => rows::add_gated(into, around, block.wide(), gate, wide),
                _ if at == FIRST_BACKBONE_BLOCKS => {
                    rows::add_gated(into, &branch[here.clone()], wide, gate, wide);
                }
                _ => rows::add_gated(into, zeros, wide, gate, wide),
            }
            rows::moments(into, &map[here], sums);
        }
    }
    maps.gradients.swap(0, 1);
}

fn stem(
    inputs: &Inputs,
    maps: &Maps,
    factors: &[Vec<f32>; 3],
    scratch: &mut Scratch,
    gradients: &mut Gradients,
) {
    let factors = factors.each_ref().map(Vec::as_slice);
    let length = STEM_SIDE * STEM_CHANNELS;
    let row = scratch.pixels.room(length);
    let picture = inputs.picture(maps.index);
    let gradient = maps.gradients[0].chunks_exact(length);
    for (y, (gradient, map)) in gradient.zip(maps.stem.chunks_exact(length)).enumerate() {
        rows::combine(row, gradient, map, factors);
        let from = stem_rows(picture, y);
        for kernel_row in 0..STEM_KERNEL {
            let left = Left::columns(&from.values[kernel_row * from.segment..], from.row);
            let size = Size { rows: STEM_ROWS, terms: STEM_SIDE, columns: STEM_CHANNELS };
            let into = &mut gradients.stem[kernel_row * STEM_ROWS * STEM_CHANNELS..];
            gemm::multiply(size, left, row, STEM_CHANNELS, into, STEM_CHANNELS, true);
        }
    }
}

fn write_stem_and_heads(groups: &[tape::Group], slots: &Slots, into: &mut [f32]) {
    let whole = total(groups, |gradients| &gradients.stem);
    for (at, value) in into[slots.stem.weight.clone()].iter_mut().enumerate() {
        let (term, channel) = (stem_at(at) / STEM_CHANNELS, stem_at(at) % STEM_CHANNELS);
        let row = term / STEM_TERMS * STEM_ROWS + term % STEM_TERMS;
        *value = whole[row * STEM_CHANNELS + channel];
    }
    for (grid, shape) in GRIDS.iter().enumerate() {
        let whole = total(groups, |gradients| &gradients.heads[grid]);
        let mut rows = whole.chunks_exact(padded(shape.channels));
        let biases = total(groups, |gradients| &gradients.biases[grid]);
        let mut biases = biases.iter();
        for slot in &slots.heads[grid] {
            for out in into[slot.weight.clone()].chunks_exact_mut(shape.channels) {
                let row = rows.next().expect("a row for each output");
                out.copy_from_slice(&row[..shape.channels]);
            }
            for out in &mut into[slot.shift.clone()] {
                *out = *biases.next().expect("a bias for each output");
            }
        }
    }
}
