//! The folded network's forward pass. A picture goes through all layers while its feature maps are in the L2 cache.

use std::cell::RefCell;

use rayon::prelude::*;

use super::aligned::Aligned;
use super::forward::{self, with_room};
use super::inputs::Inputs;
use super::layers;
use super::packed::Packed;
use super::shape::{Block, STEM_SIDE};
use crate::model::layout::{ANCHORS, COORDINATES, FIRST_BACKBONE_BLOCKS, STEM_CHANNELS};

/// A folded network, ready to run.
#[derive(Debug)]
pub struct Inference {
    packed: Packed,
    blocks: Vec<Block>,
}

thread_local! {
    /// A block's input and output, one pair per thread.
    static MAPS: RefCell<[Aligned; 2]> = RefCell::default();
}

impl Inference {
    /// Prepares to run a folded network.
    ///
    /// * `parameters`: its flat parameters, in the order of its convolutions.
    pub fn new(parameters: &[f32]) -> Self {
        Self { packed: Packed::new(parameters), blocks: Block::all() }
    }

    /// Runs the network on several pictures in parallel.
    ///
    /// * `logits`: `[N, 896]`, `coordinates`: `[N, 896, 16]`.
    pub fn run(&self, inputs: &Inputs, logits: &mut [f32], coordinates: &mut [f32]) {
        let logits = logits.par_chunks_exact_mut(ANCHORS);
        let coordinates = coordinates.par_chunks_exact_mut(ANCHORS * COORDINATES);
        logits.zip(coordinates).enumerate().for_each(|(index, (logits, coordinates))| {
            self.picture(inputs.picture(index), logits, coordinates);
        });
    }

    /// Runs the network on one picture, on this thread.
    pub(super) fn picture(&self, picture: &[f32], logits: &mut [f32], coordinates: &mut [f32]) {
        MAPS.with_borrow_mut(|[input, output]| {
            let largest = self.blocks.iter().map(|b| b.bordered().max(b.bordered_in())).max();
            for map in [&mut *input, &mut *output] {
                map.room(largest.unwrap_or(0));
            }
            with_room(|room| {
                clear_border(input, STEM_SIDE, STEM_CHANNELS);
                forward::stem(&self.packed, picture, input, room, |_| ());
                for (at, block) in self.blocks.iter().enumerate() {
                    if at == FIRST_BACKBONE_BLOCKS {
                        layers::heads(0, &self.packed.heads[0], input, logits, coordinates);
                    }
                    clear_border(output, block.side, block.wide());
                    forward::block(&self.packed, (at, block), input, output, room, |_, _| ());
                    std::mem::swap(input, output);
                }
            });
            layers::heads(1, &self.packed.heads[1], input, logits, coordinates);
        });
    }
}

/// Zeroes the border of a map whose memory held a map of another size before.
fn clear_border(map: &mut [f32], side: usize, wide: usize) {
    let row = (side + 2) * wide;
    map[..row].fill(0.0);
    for row in map[row..].chunks_exact_mut(row).take(side) {
        row[..wide].fill(0.0);
        row[(side + 1) * wide..].fill(0.0);
    }
    map[(side + 1) * row..(side + 2) * row].fill(0.0);
}
