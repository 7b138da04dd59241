//! Weights in the order in which the kernels read them.

use super::aligned::Aligned;
use super::shape::{Block, STEM_KERNEL, STEM_TERMS, Slots, TAPS, head_columns, padded};
use crate::model::layout::{GRIDS, STEM_CHANNELS};
use crate::model::slots::Slot;

/// A network's weights, packed for the kernels. Padding channels are 0.
#[derive(Debug)]
pub(super) struct Packed {
    /// `[75, 24]`: the kernel's rows, columns and colours, then the channels.
    pub(super) stem: Aligned,
    /// Each block's depthwise weights, `[9, C]`.
    pub(super) depthwise: Vec<Aligned>,
    /// The depthwise weights with the taps in reverse order.
    pub(super) flipped: Vec<Aligned>,
    /// Each block's pointwise weights, `[I, O]`.
    pub(super) pointwise: Vec<Aligned>,
    /// The pointwise weights, transposed to `[O, I]`.
    pub(super) transposed: Vec<Aligned>,
    /// Each grid's heads.
    pub(super) heads: Vec<Head>,
    /// The stem's biases.
    pub(super) stem_bias: Vec<f32>,
    /// Each block's depthwise biases.
    pub(super) depthwise_bias: Vec<Vec<f32>>,
    /// Each block's depthwise bias, passed through the pointwise convolution; the depthwise kernels do not add it.
    pub(super) through: Vec<Vec<f32>>,
    /// The shift added after each block's pointwise convolution: `through` plus the pointwise bias.
    pub(super) shift: Vec<Vec<f32>>,
}

/// A grid's classifier and regressor, side by side.
#[derive(Debug)]
pub(super) struct Head {
    /// `[channels, columns]`
    pub(super) weight: Aligned,
    /// `[columns, channels]`
    pub(super) transposed: Aligned,
    /// `[columns]`
    pub(super) bias: Vec<f32>,
}

impl Packed {
    /// Packs a folded network's flat parameters.
    pub(super) fn new(parameters: &[f32]) -> Self {
        let (blocks, slots) = (Block::all(), Slots::folded());
        let pairs = || blocks.iter().zip(&slots.blocks);
        let stem = &parameters[slots.stem.weight.clone()];
        let mut packed = Aligned::zeros(STEM_KERNEL * STEM_TERMS * STEM_CHANNELS);
        for (at, value) in stem.iter().enumerate() {
            packed[stem_at(at)] = *value;
        }
        let depthwise = pairs().map(|(block, [slot, _])| {
            let (weight, wide) = (&parameters[slot.weight.clone()], block.wide_in());
            let mut packed = Aligned::zeros(TAPS * wide);
            for (channel, taps) in weight.chunks_exact(TAPS).enumerate() {
                taps.iter()
                    .enumerate()
                    .for_each(|(tap, &value)| packed[tap * wide + channel] = value);
            }
            packed
        });
        let transposed = pairs().map(|(block, [_, slot])| {
            let weight = &parameters[slot.weight.clone()];
            widened(weight, block.inputs, block.wide_in(), block.outputs)
        });
        let pointwise = pairs().map(|(block, [_, slot])| {
            let weight = &parameters[slot.weight.clone()];
            transpose(weight, block.outputs, block.inputs, block.wide())
        });
        let heads = GRIDS.iter().zip(&slots.heads).map(|(grid, pair)| {
            let (columns, channels) = (head_columns(grid), grid.channels);
            let both = |range: [&std::ops::Range<usize>; 2]| -> Vec<f32> {
                range.iter().flat_map(|&range| &parameters[range.clone()]).copied().collect()
            };
            let weight = both([&pair[0].weight, &pair[1].weight]);
            let mut bias = both([&pair[0].shift, &pair[1].shift]);
            bias.resize(padded(columns), 0.0);
            let transposed = widened(&weight, channels, padded(channels), padded(columns));
            let weight = transpose(&weight, columns, channels, padded(columns));
            Head { weight, transposed, bias }
        });
        let bias = |slot: &Slot| {
            let mut values = parameters[slot.shift.clone()].to_vec();
            values.resize(padded(values.len()), 0.0);
            values
        };
        let (depthwise, pointwise): (Vec<_>, Vec<_>) = (depthwise.collect(), pointwise.collect());
        let depthwise_bias: Vec<_> = slots.blocks.iter().map(|[first, _]| bias(first)).collect();
        let through: Vec<Vec<f32>> = (blocks.iter().zip(&pointwise).zip(&depthwise_bias))
            .map(|((block, weight), bias)| apply(weight, bias, block.wide()))
            .collect();
        let shift = through.iter().zip(&slots.blocks).map(|(through, [_, second])| {
            through.iter().zip(bias(second)).map(|(a, b)| a + b).collect()
        });
        Self {
            stem: packed,
            flipped: depthwise.iter().zip(&blocks).map(|(w, b)| flipped(w, b.wide_in())).collect(),
            depthwise,
            pointwise,
            transposed: transposed.collect(),
            heads: heads.collect(),
            stem_bias: bias(&slots.stem),
            depthwise_bias,
            shift: shift.collect(),
            through,
        }
    }
}

/// Returns a depthwise convolution's taps, `[9, C]`, in reverse order.
fn flipped(weights: &[f32], wide: usize) -> Aligned {
    let mut flipped = Aligned::zeros(weights.len());
    let taps = flipped.chunks_exact_mut(wide).zip(weights.chunks_exact(wide).rev());
    taps.for_each(|(into, tap)| into.copy_from_slice(tap));
    flipped
}

/// Applies a pointwise weight to one pixel: `[I, O]`, `[I]` → `[O]`.
fn apply(weight: &[f32], pixel: &[f32], wide: usize) -> Vec<f32> {
    let mut out = vec![0.0; wide];
    for (row, value) in weight.chunks_exact(wide).zip(pixel) {
        row.iter().zip(&mut out).for_each(|(weight, out)| *out += weight * value);
    }
    out
}

/// Converts an index into the published `[24, 3, 5, 5]` to the index of the same element in `[5, 5, 3, 24]`.
pub(super) fn stem_at(at: usize) -> usize {
    let (channel, at) =
        (at / (3 * STEM_KERNEL * STEM_KERNEL), at % (3 * STEM_KERNEL * STEM_KERNEL));
    let (colour, tap) = (at / (STEM_KERNEL * STEM_KERNEL), at % (STEM_KERNEL * STEM_KERNEL));
    (tap * 3 + colour) * STEM_CHANNELS + channel
}

/// Pads a matrix with zeros to `rows` rows of `wide` numbers each.
fn widened(matrix: &[f32], columns: usize, wide: usize, rows: usize) -> Aligned {
    let mut out = Aligned::zeros(rows * wide);
    for (out, row) in out.chunks_exact_mut(wide).zip(matrix.chunks_exact(columns)) {
        out[..columns].copy_from_slice(row);
    }
    out
}

/// Transposes `[rows, columns]` to `[columns, wide]`, padded with zeros.
fn transpose(matrix: &[f32], rows: usize, columns: usize, wide: usize) -> Aligned {
    let mut out = Aligned::zeros(columns * wide);
    for row in 0..rows {
        for column in 0..columns {
            out[column * wide + row] = matrix[row * columns + column];
        }
    }
    out
}
