//! Sizes of the native engine's feature maps.

use std::ops::Range;

use super::simd::LANES;
use crate::model::layout::{self, BLOCKS, GRIDS, Grid, INPUT_SIZE, STEM_CHANNELS};
use crate::model::slots::{Form, Slot, slots};

/// Side of the input with its border, in pixels: one extra at the left and top, two at the right and bottom.
pub(super) const INPUT_ROW: usize = INPUT_SIZE + 3;
/// Numbers in an input with its border, plus the numbers that a vector may read beyond its end.
pub(super) const INPUT_LENGTH: usize = INPUT_ROW * INPUT_ROW * 3 + LANES;
/// Side of the stem's output, in pixels.
pub(super) const STEM_SIDE: usize = INPUT_SIZE / 2;
/// Side of the stem's kernel, in pixels.
pub(super) const STEM_KERNEL: usize = 5;
/// Numbers in a row of the stem's kernel.
pub(super) const STEM_TERMS: usize = STEM_KERNEL * 3;
/// Taps of a depthwise kernel.
pub(super) const TAPS: usize = 9;
/// Pixels that a pointwise convolution processes together: at most 24 KB of numbers.
pub(super) const PIXELS: usize = 64;

/// Rounds a number of channels up to whole vectors. The padding channels are 0.
pub(super) fn padded(channels: usize) -> usize {
    channels.next_multiple_of(LANES)
}

/// A residual block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) stride: usize,
    /// Side of the input, in pixels.
    pub(super) side_in: usize,
    /// Side of the output, in pixels.
    pub(super) side: usize,
}

impl Block {
    pub(super) fn all() -> Vec<Self> {
        let (mut inputs, mut side_in) = (STEM_CHANNELS, STEM_SIDE);
        let next = |&(outputs, stride): &(usize, usize)| {
            let side = side_in / stride;
            let block = Self { inputs, outputs, stride, side_in, side };
            (inputs, side_in) = (outputs, side);
            block
        };
        BLOCKS.iter().map(next).collect()
    }

    /// Returns the input's channels in memory, with padding.
    pub(super) fn wide_in(&self) -> usize {
        padded(self.inputs)
    }

    /// Returns the output's channels in memory, with padding.
    pub(super) fn wide(&self) -> usize {
        padded(self.outputs)
    }

    /// Returns the number of pixels in the output.
    pub(super) fn pixels(&self) -> usize {
        self.side * self.side
    }

    /// Returns how many numbers the input has, with a border of one pixel.
    pub(super) fn bordered_in(&self) -> usize {
        (self.side_in + 2) * (self.side_in + 2) * self.wide_in()
    }

    /// Returns how many numbers the output has, with a border of one pixel.
    pub(super) fn bordered(&self) -> usize {
        (self.side + 2) * (self.side + 2) * self.wide()
    }
}

/// Returns the range of row `y` of a bordered map, without the border.
pub(super) fn inner(y: usize, side: usize, wide: usize) -> Range<usize> {
    let start = ((y + 1) * (side + 2) + 1) * wide;
    start..start + side * wide
}

/// Returns the range of row `row` of a bordered map, with the border; row 0 is the top border.
pub(super) fn outer(row: usize, side: usize, wide: usize) -> Range<usize> {
    let length = (side + 2) * wide;
    row * length..(row + 1) * length
}

/// Returns the columns of a grid's two heads: a logit for each of a cell's anchors, then the anchors' coordinates.
pub(super) fn head_columns(grid: &Grid) -> usize {
    grid.anchors_per_cell * (1 + layout::COORDINATES)
}

/// The slots of a folded network's convolutions.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    pub(super) stem: Slot,
    /// Each block's depthwise and pointwise convolution.
    pub(super) blocks: Vec<[Slot; 2]>,
    /// Each grid's classifier and regressor.
    pub(super) heads: Vec<[Slot; 2]>,
}

impl Slots {
    pub(super) fn folded() -> Self {
        let slots = slots(&layout::SHORT, Form::Folded);
        let (stem, rest) = slots.split_first().expect("a stem");
        let (blocks, heads) = rest.split_at(2 * BLOCKS.len());
        let heads = (0..GRIDS.len()).map(|grid| [&heads[grid], &heads[GRIDS.len() + grid]]);
        Self {
            stem: stem.clone(),
            blocks: blocks.as_chunks().0.to_vec(),
            heads: heads.map(|pair| pair.map(Slot::clone)).collect(),
        }
    }
}
