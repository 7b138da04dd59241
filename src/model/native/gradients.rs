//! Gradients of the weights, in the order in which the kernels write them. They form one flat vector, so that the
//! gradients of several groups are summed in one pass.

use std::ops::Range;

use rayon::prelude::*;

use super::aligned::Aligned;
use super::packed::{Packed, stem_at};
use super::shape::{Block, STEM_KERNEL, STEM_TERMS, Slots, TAPS, head_columns, padded};
use super::simd::LANES;
use crate::model::layout::{GRIDS, STEM_CHANNELS};
use crate::model::slots::Slot;

/// Rows of the stem's gradient per kernel row, padded to whole tiles of the product.
pub(super) const STEM_ROWS: usize = 16;
/// Numbers summed at a time.
const CHUNK: usize = 4096;

/// The position of each gradient in the flat vector.
#[derive(Debug)]
pub(super) struct Places {
    /// `[5, 16, 24]`
    pub(super) stem: Range<usize>,
    /// `[24]`
    pub(super) stem_bias: Range<usize>,
    pub(super) blocks: Vec<BlockPlaces>,
    /// The weights of each grid's heads, `[columns, channels]`.
    pub(super) heads: Vec<Range<usize>>,
    /// The biases of each grid's heads, `[columns]`.
    pub(super) head_biases: Vec<Range<usize>>,
    length: usize,
}

/// The positions of one block's gradients.
#[derive(Debug, Clone)]
pub(super) struct BlockPlaces {
    /// `[9, C]`
    pub(super) depthwise: Range<usize>,
    /// `[O, I]`, computed from the depthwise outputs without their bias.
    pub(super) pointwise: Range<usize>,
    /// `[O]`: the gradient of the shift added after the pointwise convolution.
    pub(super) shift: Range<usize>,
}

impl Places {
    pub(super) fn new(blocks: &[Block]) -> Self {
        let mut length = 0;
        let mut take = |count: usize| {
            let start = length;
            length += count.next_multiple_of(2 * LANES); // The next range starts on a cache line.
            start..start + count
        };
        let stem = take(STEM_KERNEL * STEM_ROWS * STEM_CHANNELS);
        let stem_bias = take(STEM_CHANNELS);
        let mut of_block = |block: &Block| BlockPlaces {
            depthwise: take(TAPS * block.wide_in()),
            pointwise: take(block.wide() * block.wide_in()),
            shift: take(block.wide()),
        };
        let blocks = blocks.iter().map(&mut of_block).collect();
        let columns = GRIDS.each_ref().map(|grid| padded(head_columns(grid)));
        let heads = columns.iter().zip(&GRIDS).map(|(c, grid)| take(c * padded(grid.channels)));
        let heads = heads.collect();
        let head_biases = columns.iter().map(|&columns| take(columns)).collect();
        Self { stem, stem_bias, blocks, heads, head_biases, length }
    }

    pub(super) fn zeros(&self) -> Aligned {
        Aligned::zeros(self.length)
    }
}

/// Adds all other gradients to the first, in order.
pub(super) fn add_up(gradients: &mut [&mut Aligned]) {
    let Some((first, others)) = gradients.split_first_mut() else { return };
    first.par_chunks_mut(CHUNK).enumerate().for_each(|(at, sums)| {
        for other in &*others {
            let more = &other[at * CHUNK..][..sums.len()];
            sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        }
    });
}

/// Writes the gradients in the published order.
pub(super) fn publish(found: &[f32], places: &Places, packed: &Packed, into: &mut [f32]) {
    let (slots, blocks) = (Slots::folded(), Block::all());
    let stem = &found[places.stem.clone()];
    for (at, value) in into[slots.stem.weight.clone()].iter_mut().enumerate() {
        let (term, channel) = (stem_at(at) / STEM_CHANNELS, stem_at(at) % STEM_CHANNELS);
        let row = term / STEM_TERMS * STEM_ROWS + term % STEM_TERMS;
        *value = stem[row * STEM_CHANNELS + channel];
    }
    into[slots.stem.shift.clone()].copy_from_slice(&found[places.stem_bias.clone()]);
    for (at, block) in blocks.iter().enumerate() {
        publish_block(found, &places.blocks[at], block, &slots.blocks[at], packed, at, into);
    }
    for (grid, shape) in GRIDS.iter().enumerate() {
        let mut rows = found[places.heads[grid].clone()].chunks_exact(padded(shape.channels));
        let mut biases = found[places.head_biases[grid].clone()].iter();
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

fn publish_block(
    found: &[f32],
    places: &BlockPlaces,
    block: &Block,
    [first, second]: &[Slot; 2],
    packed: &Packed,
    at: usize,
    into: &mut [f32],
) {
    let wide = block.wide_in();
    let depthwise = &found[places.depthwise.clone()];
    for (channel, taps) in into[first.weight.clone()].chunks_exact_mut(TAPS).enumerate() {
        taps.iter_mut()
            .enumerate()
            .for_each(|(tap, value)| *value = depthwise[tap * wide + channel]);
    }
    // The depthwise bias is a constant input of the pointwise convolution.
    let (shift, bias) = (&found[places.shift.clone()], &packed.depthwise_bias[at]);
    let rows = found[places.pointwise.clone()].chunks_exact(wide);
    let outs = into[second.weight.clone()].chunks_exact_mut(block.inputs);
    for ((out, row), shift) in outs.zip(rows).zip(shift) {
        let terms = out.iter_mut().zip(row).zip(bias);
        terms.for_each(|((out, value), bias)| *out = value + shift * bias);
    }
    into[second.shift.clone()].copy_from_slice(&shift[..block.outputs]);
    let biases = &mut into[first.shift.clone()];
    biases.fill(0.0);
    for (row, shift) in packed.transposed[at].chunks_exact(wide).zip(shift) {
        biases.iter_mut().zip(row).for_each(|(bias, weight)| *bias += weight * shift);
    }
}
