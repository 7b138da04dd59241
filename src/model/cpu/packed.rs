//! Weights in the order in which the kernels read them, and gradients back in the published order.

use super::aligned::Aligned;
use super::shape::{Block, STEM_KERNEL, STEM_TERMS, Slots, TAPS, head_columns, padded};
use crate::model::layout::{GRIDS, STEM_CHANNELS};

/// The numbers of a network, ready for the kernels. Spare channels are 0.
#[derive(Debug)]
pub(super) struct Packed {
    /// `[75, 24]`: row, column and colour of the kernel, then channels.
    pub(super) stem: Aligned,
    /// Of each block `[9, C]`.
    pub(super) depthwise: Vec<Aligned>,
    /// Of each block `[I, O]`.
    pub(super) pointwise: Vec<Aligned>,
    /// Of each block `[O, I]`.
    pub(super) transposed: Vec<Aligned>,
    /// Of each grid.
    pub(super) heads: Vec<Head>,
    /// What is added behind the stem, and behind each block's two convolutions.
    pub(super) shifts: Shifts,
}

/// A vector for the stem, and two for each block.
#[derive(Debug, Clone)]
pub(super) struct Shifts {
    pub(super) stem: Vec<f32>,
    pub(super) blocks: Vec<[Vec<f32>; 2]>,
}

/// Classifier and regressor of one grid, side by side.
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
    pub(super) fn new(parameters: &[f32], slots: &Slots) -> Self {
        let blocks = Block::all();
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
        let shifts = Shifts::new(slots, |slot| parameters[slot.shift.clone()].to_vec());
        Self {
            stem: packed,
            depthwise: depthwise.collect(),
            pointwise: pointwise.collect(),
            transposed: transposed.collect(),
            heads: heads.collect(),
            shifts,
        }
    }
}

impl Shifts {
    /// A vector a convolution, with spare channels.
    pub(super) fn new(slots: &Slots, of: impl Fn(&super::shape::Slot) -> Vec<f32>) -> Self {
        let wide = |slot| {
            let mut values = of(slot);
            values.resize(padded(values.len()), 0.0);
            values
        };
        let blocks = slots.blocks.iter().map(|[first, second]| [wide(first), wide(second)]);
        Self { stem: wide(&slots.stem), blocks: blocks.collect() }
    }
}

/// Where the published `[24, 3, 5, 5]` has its element `at` in `[5, 5, 3, 24]`.
pub(super) fn stem_at(at: usize) -> usize {
    let (channel, at) =
        (at / (3 * STEM_KERNEL * STEM_KERNEL), at % (3 * STEM_KERNEL * STEM_KERNEL));
    let (colour, tap) = (at / (STEM_KERNEL * STEM_KERNEL), at % (STEM_KERNEL * STEM_KERNEL));
    (tap * 3 + colour) * STEM_CHANNELS + channel
}

/// Rows of `columns` become rows of `wide`, and `rows` of them.
fn widened(matrix: &[f32], columns: usize, wide: usize, rows: usize) -> Aligned {
    let mut out = Aligned::zeros(rows * wide);
    for (out, row) in out.chunks_exact_mut(wide).zip(matrix.chunks_exact(columns)) {
        out[..columns].copy_from_slice(row);
    }
    out
}

/// `[rows, columns]` → `[columns, wide]`.
fn transpose(matrix: &[f32], rows: usize, columns: usize, wide: usize) -> Aligned {
    let mut out = Aligned::zeros(columns * wide);
    for row in 0..rows {
        for column in 0..columns {
            out[column * wide + row] = matrix[row * columns + column];
        }
    }
    out
}
