//! The folded network forward: a picture goes through all layers while its maps are in the second cache.

use std::cell::RefCell;

use rayon::prelude::*;

use super::aligned::Aligned;
use super::inputs::Inputs;
use super::layers;
use super::packed::Packed;
use super::rows;
use super::shape::{Block, PIXELS, STEM_SIDE, Slots, inner, padded};
use super::simd::LANES;
use crate::model::layout::{ANCHORS, COORDINATES, FIRST_BACKBONE_BLOCKS, STEM_CHANNELS};

/// A folded network, ready to run.
#[derive(Debug)]
pub struct Inference {
    packed: Packed,
    blocks: Vec<Block>,
    /// For each block, what is added behind its pointwise convolution: its bias, and the depthwise bias
    /// as it comes through.
    shifts: Vec<Vec<f32>>,
    /// As many ones as there are channels at most.
    ones: Vec<f32>,
}

/// Maps of one picture, a thread's own.
#[derive(Default)]
struct Scratch {
    maps: [Aligned; 2],
    depthwise: Aligned,
    pointwise: Aligned,
    pooled: Aligned,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Inference {
    /// * `parameters`: of a folded network, flat, in the order of its convolutions.
    pub fn new(parameters: &[f32]) -> Self {
        let packed = Packed::new(parameters, &Slots::new(false));
        let blocks = Block::all();
        let shifts = blocks.iter().enumerate().map(|(at, block)| {
            let [first, second] = &packed.shifts.blocks[at];
            let through = layers::apply(&packed.pointwise[at], first, block.wide());
            through.iter().zip(second).map(|(a, b)| a + b).collect()
        });
        let widest = blocks.iter().map(Block::wide).max().unwrap_or(LANES);
        let shifts = shifts.collect();
        Self { packed, blocks, shifts, ones: vec![1.0; widest] }
    }

    /// Runs some pictures, several at once.
    ///
    /// * `logits`: `[N, 896]`, `coordinates`: `[N, 896, 16]`.
    pub fn run(&self, inputs: &Inputs, logits: &mut [f32], coordinates: &mut [f32]) {
        let logits = logits.par_chunks_exact_mut(ANCHORS);
        let coordinates = coordinates.par_chunks_exact_mut(ANCHORS * COORDINATES);
        logits.zip(coordinates).enumerate().for_each(|(index, (logits, coordinates))| {
            SCRATCH.with_borrow_mut(|scratch| {
                self.picture(inputs.picture(index), scratch, logits, coordinates);
            });
        });
    }

    fn picture(
        &self,
        picture: &[f32],
        scratch: &mut Scratch,
        logits: &mut [f32],
        coordinates: &mut [f32],
    ) {
        scratch.make_room(&self.blocks);
        self.stem(picture, scratch);
        for at in 0..self.blocks.len() {
            if at == FIRST_BACKBONE_BLOCKS {
                layers::heads(0, &self.packed.heads[0], &scratch.maps[0], logits, coordinates);
            }
            self.block(at, scratch);
            scratch.maps.swap(0, 1);
        }
        layers::heads(1, &self.packed.heads[1], &scratch.maps[0], logits, coordinates);
    }

    fn stem(&self, picture: &[f32], scratch: &mut Scratch) {
        let Scratch { maps: [map, _], pointwise, .. } = scratch;
        clear_border(map, STEM_SIDE, padded(STEM_CHANNELS));
        let row = &mut pointwise[..STEM_SIDE * STEM_CHANNELS];
        for y in 0..STEM_SIDE {
            layers::stem(picture, y, &self.packed.stem, row);
            let out = &mut map[inner(y, STEM_SIDE, STEM_CHANNELS)];
            let ones = &self.ones[..STEM_CHANNELS];
            rows::join(out, row, ones, &self.packed.shifts.stem, &[], 0);
        }
    }

    /// From the first map to the second.
    fn block(&self, at: usize, scratch: &mut Scratch) {
        let block = &self.blocks[at];
        let Scratch { maps: [input, output], depthwise, pointwise, pooled } = scratch;
        let (side, wide_in, wide) = (block.side, block.wide_in(), block.wide());
        clear_border(output, side, wide);
        let rows_at_once = PIXELS / side;
        for first in (0..side).step_by(rows_at_once) {
            for row in 0..rows_at_once {
                let out = &mut depthwise[row * side * wide_in..][..side * wide_in];
                layers::depthwise(block, input, first + row, &self.packed.depthwise[at], out);
            }
            let map = &depthwise[..PIXELS * wide_in];
            let outputs = &mut pointwise[..PIXELS * wide];
            layers::pointwise(block, map, &self.packed.pointwise[at], outputs);
            for (row, map) in outputs.chunks_exact(side * wide).enumerate() {
                let y = first + row;
                let factors = [&self.ones[..wide], &self.shifts[at]];
                let out = &mut output[inner(y, side, wide)];
                layers::join(block, input, y, map, factors, pooled, out);
            }
        }
    }
}

impl Scratch {
    fn make_room(&mut self, blocks: &[Block]) {
        let largest = |of: fn(&Block) -> usize| blocks.iter().map(of).max().unwrap_or(0);
        let map = largest(Block::bordered).max(largest(Block::bordered_in));
        let row = PIXELS * largest(Block::wide);
        for values in &mut self.maps {
            values.room(map);
        }
        for values in [&mut self.depthwise, &mut self.pointwise, &mut self.pooled] {
            values.room(row);
        }
    }
}

/// Zeros around a map that lies where another of other sizes was.
pub(super) fn clear_border(map: &mut [f32], side: usize, wide: usize) {
    let row = (side + 2) * wide;
    map[..row].fill(0.0);
    for row in map[row..].chunks_exact_mut(row).take(side) {
        row[..wide].fill(0.0);
        row[(side + 1) * wide..].fill(0.0);
    }
    map[(side + 1) * row..(side + 2) * row].fill(0.0);
}
