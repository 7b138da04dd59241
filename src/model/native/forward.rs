//! The forward pass of one picture through a folded network. It computes a few rows of a block at a time, so that one
//! convolution's output is still in the L1 cache when the next convolution reads it.

use std::cell::RefCell;

use super::aligned::Aligned;
use super::layers;
use super::packed::Packed;
use super::rows;
use super::shape::{Block, PIXELS, STEM_SIDE, inner};
use crate::model::layout::STEM_CHANNELS;

/// A thread's scratch memory for one block at a time.
#[derive(Default)]
pub(super) struct Room {
    depthwise: Aligned, // [64, I]
    pointwise: Aligned, // [64, O]
    pooled: Aligned,    // [side, I]
}

thread_local! {
    static ROOM: RefCell<Room> = RefCell::default();
}

/// Runs `work` with this thread's scratch memory.
pub(super) fn with_room<T>(work: impl FnOnce(&mut Room) -> T) -> T {
    ROOM.with_borrow_mut(work)
}

/// One picture's feature maps, which the backward pass needs.
#[derive(Debug)]
pub(super) struct Maps {
    /// Each block's input and the last block's output, `[side + 2, side + 2, C]` with their borders.
    pub(super) inputs: Vec<Aligned>,
}

impl Maps {
    pub(super) fn new(blocks: &[Block]) -> Self {
        let last = blocks.last().map(|block| Aligned::zeros(block.bordered()));
        let inputs = blocks.iter().map(|block| Aligned::zeros(block.bordered_in()));
        Self { inputs: inputs.chain(last).collect() }
    }
}

/// Runs a picture through the stem and all blocks.
///
/// * `see`: receives each convolution's index and its output without bias.
pub(super) fn picture(
    packed: &Packed,
    blocks: &[Block],
    pixels: &[f32],
    maps: &mut Maps,
    mut see: impl FnMut(usize, &[f32]),
) {
    with_room(|room| {
        stem(packed, pixels, &mut maps.inputs[0], room, |map| see(0, map));
        for (at, one) in blocks.iter().enumerate() {
            let (inputs, outputs) = maps.inputs.split_at_mut(at + 1);
            let see = |conv: usize, map: &[f32]| see(1 + 2 * at + conv, map);
            block(packed, (at, one), &inputs[at], &mut outputs[0], room, see);
        }
    });
}

/// Computes the first block's bordered input from the picture.
///
/// * `see`: receives the convolution's output without bias.
pub(super) fn stem(
    packed: &Packed,
    picture: &[f32],
    out: &mut [f32],
    room: &mut Room,
    mut see: impl FnMut(&[f32]),
) {
    let row = room.pointwise.room(STEM_SIDE * STEM_CHANNELS); // [64, 24]
    for y in 0..STEM_SIDE {
        layers::stem(picture, y, &packed.stem, row);
        see(row);
        let out = &mut out[inner(y, STEM_SIDE, STEM_CHANNELS)]; // [64, 24]
        rows::join(out, row, &packed.stem_bias, &[], 0);
    }
}

/// Computes the next block's input from the input of block `at`; both have borders.
///
/// * `see`: receives the outputs of the depthwise (0) and the pointwise convolution (1) without bias.
pub(super) fn block(
    packed: &Packed,
    (at, block): (usize, &Block),
    input: &[f32],
    out: &mut [f32],
    room: &mut Room,
    mut see: impl FnMut(usize, &[f32]),
) {
    let (side, wide_in, wide) = (block.side, block.wide_in(), block.wide());
    let Room { depthwise, pointwise, pooled } = room;
    let map = depthwise.room(PIXELS * wide_in); // [64, I]
    let outputs = pointwise.room(PIXELS * wide); // [64, O]
    let pooled = pooled.room(side * wide_in); // [side, I]
    let at_once = PIXELS / side; // rows
    for first in (0..side).step_by(at_once) {
        layers::depthwise_rows(block, input, first, &packed.depthwise[at], map);
        see(0, map);
        layers::pointwise(block, map, &packed.pointwise[at], outputs);
        see(1, outputs);
        for (row, map) in outputs.chunks_exact(side * wide).enumerate() {
            let y = first + row;
            let out = &mut out[inner(y, side, wide)]; // [side, O]
            layers::join(block, input, y, map, &packed.shift[at], pooled, out);
        }
    }
}
