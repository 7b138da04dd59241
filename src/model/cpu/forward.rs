//! Forward through the layers. BatchNorm needs a layer's sums over the whole batch before the next can begin, so each
//! block has two passes over the pictures: what came before is normalised, and goes through the depthwise
//! convolution; the depthwise BatchNorm scales the rows of the pointwise weights, so that its map is read only once.

use std::cell::RefCell;

use super::aligned::Aligned;
use super::inputs::Inputs;
use super::layers;
use super::norm::Norm;
use super::packed::Packed;
use super::rows;
use super::shape::{Block, PIXELS, STEM_SIDE, inner};
use super::tape::{self, Maps};
use super::training::{Layers, Training};
use crate::model::layout::{FIRST_BACKBONE_BLOCKS, STEM_CHANNELS};

thread_local! {
    static POOLED: RefCell<Aligned> = RefCell::default();
}

pub(super) fn run(
    training: &mut Training,
    parameters: &[f32],
    buffers: &mut [f32],
    inputs: &Inputs,
) -> Layers {
    let packed = Packed::new(parameters, &training.slots);
    let sums = tape::over_pictures(&mut training.groups, STEM_CHANNELS, |maps, sums, _| {
        stem(inputs.picture(maps.index), &packed, maps, sums);
    });
    let count = training.values(STEM_SIDE);
    let stem = Norm::new(&training.slots.stem, parameters, buffers, &sums, count, &[]);
    let mut norms: Vec<[Norm; 2]> = Vec::new();
    for (at, block) in training.blocks.clone().iter().enumerate() {
        let [first_slot, second_slot] = &training.slots.blocks[at];
        let count = training.values(block.side);
        let before = norms.last().map_or(&stem, |[_, norm]| norm);
        let sums = tape::over_pictures(&mut training.groups, block.wide_in(), |maps, sums, _| {
            first_half(block, at, before, &packed, maps, sums);
        });
        let first = Norm::new(first_slot, parameters, buffers, &sums, count, &[]);

        let weight = &packed.pointwise[at];
        let through = layers::apply(weight, &first.shift, block.wide());
        let mut scaled = Aligned::zeros(weight.len());
        layers::scale_rows(weight, &first.scale, block.wide(), &mut scaled);
        let sums = tape::over_pictures(&mut training.groups, block.wide(), |maps, sums, _| {
            second_half(block, at, &scaled, maps, sums);
        });
        let second = Norm::new(second_slot, parameters, buffers, &sums, count, &through);
        norms.push([first, second]);
    }
    let blocks = &training.blocks;
    let last = norms.last().map_or(&stem, |[_, norm]| norm);
    tape::over_pictures(&mut training.groups, 0, |maps, _, _| {
        for y in 0..blocks.last().map_or(0, |block| block.side) {
            enter(blocks, blocks.len(), last, maps, y);
        }
        let Maps { inputs, logits, coordinates, .. } = maps;
        for (grid, at) in [FIRST_BACKBONE_BLOCKS, blocks.len()].into_iter().enumerate() {
            layers::heads(grid, &packed.heads[grid], &inputs[at], logits, coordinates);
        }
    });
    Layers { packed, stem, blocks: norms }
}

fn stem(picture: &[f32], packed: &Packed, maps: &mut Maps, sums: &mut [f64]) {
    for (y, row) in maps.stem.chunks_exact_mut(STEM_SIDE * STEM_CHANNELS).enumerate() {
        layers::stem(picture, y, &packed.stem, row);
        rows::moments(row, row, sums);
    }
}

/// What comes into a block, and its depthwise convolution.
fn first_half(
    block: &Block,
    at: usize,
    before: &Norm,
    packed: &Packed,
    maps: &mut Maps,
    sums: &mut [f64],
) {
    let blocks = Block::all();
    let row = block.side * block.wide_in();
    let mut done = 0;
    for y in 0..block.side_in {
        enter(&blocks, at, before, maps, y);
        // Rows of which all inputs are there.
        let ready = if y + 1 == block.side_in { block.side } else { y / block.stride };
        for y in done..ready {
            let out = &mut maps.depthwise[at][y * row..(y + 1) * row];
            layers::depthwise(block, &maps.inputs[at], y, &packed.depthwise[at], out);
            rows::moments(out, out, sums);
        }
        done = ready.max(done);
    }
}

/// Row `y` of what comes into block `at`: the output of the block before, or of the stem.
fn enter(blocks: &[Block], at: usize, norm: &Norm, maps: &mut Maps, y: usize) {
    let factors = [norm.scale.as_slice(), &norm.shift];
    if at == 0 {
        let row = STEM_SIDE * STEM_CHANNELS;
        let out = &mut maps.inputs[0][inner(y, STEM_SIDE, STEM_CHANNELS)];
        let map = &maps.stem[y * row..(y + 1) * row];
        return rows::join(out, map, factors[0], factors[1], &[], 0);
    }
    let before = &blocks[at - 1];
    let row = before.side * before.wide();
    let (inputs, outputs) = maps.inputs.split_at_mut(at);
    let out = &mut outputs[0][inner(y, before.side, before.wide())];
    let map = &maps.pointwise[at - 1][y * row..(y + 1) * row];
    POOLED.with_borrow_mut(|pooled| {
        layers::join(before, &inputs[at - 1], y, map, factors, pooled.room(row), out);
    });
}

/// The pointwise convolution.
fn second_half(block: &Block, at: usize, weight: &[f32], maps: &mut Maps, sums: &mut [f64]) {
    let inputs = maps.depthwise[at].chunks_exact(PIXELS * block.wide_in());
    for (map, out) in inputs.zip(maps.pointwise[at].chunks_exact_mut(PIXELS * block.wide())) {
        layers::pointwise(block, map, weight, out);
        rows::moments(out, out, sums);
    }
}
