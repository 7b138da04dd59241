//! A training step of a folded network: a forward pass over every picture and, once the batch's costs are known, a
//! backward pass. Pictures are independent, so each pass over a picture runs on one thread.

use rayon::prelude::*;

use super::aligned::Aligned;
use super::backward;
use super::forward::{self, Maps};
use super::gradients::{self, Places};
use super::inputs::Inputs;
use super::layers;
use super::packed::Packed;
use super::shape::Block;
use crate::model::layout::{ANCHORS, COORDINATES, FIRST_BACKBONE_BLOCKS};

/// The largest number of groups of pictures in a batch. The groups' gradients are summed in a fixed order, so that
/// results do not depend on the number of threads.
const GROUPS: usize = 16;

/// The network in training. Steps reuse its memory.
#[derive(Debug)]
pub struct Training {
    blocks: Vec<Block>,
    places: Places,
    groups: Vec<Group>,
    /// The weights of the current step.
    packed: Option<Packed>,
}

/// Pictures that one thread processes.
#[derive(Debug)]
struct Group {
    pictures: Vec<Maps>,
    gradients: Aligned,
}

impl Default for Training {
    fn default() -> Self {
        let blocks = Block::all();
        Self { places: Places::new(&blocks), blocks, groups: Vec::new(), packed: None }
    }
}

impl Training {
    /// Runs the forward pass over a batch.
    ///
    /// * `parameters`: the folded network's parameters, in the order of [`slots`](crate::model::slots::slots);
    /// * `logits`: `[N, 896]`, `coordinates`: `[N, 896, 16]`.
    pub fn forward(
        &mut self,
        parameters: &[f32],
        inputs: &Inputs,
        logits: &mut [f32],
        coordinates: &mut [f32],
    ) {
        let size = self.make_groups(inputs.count());
        let packed = self.packed.insert(Packed::new(parameters));
        let blocks = &self.blocks;
        let logits = logits.par_chunks_mut(size * ANCHORS);
        let coordinates = coordinates.par_chunks_mut(size * ANCHORS * COORDINATES);
        let groups = self.groups.par_iter_mut().zip(logits).zip(coordinates).enumerate();
        groups.for_each(|(at, ((group, logits), coordinates))| {
            let outputs = logits.chunks_exact_mut(ANCHORS);
            let outputs = outputs.zip(coordinates.chunks_exact_mut(ANCHORS * COORDINATES));
            for (i, (maps, outputs)) in group.pictures.iter_mut().zip(outputs).enumerate() {
                picture(packed, blocks, inputs.picture(at * size + i), maps, outputs);
            }
        });
    }

    /// Computes the gradient of all parameters from the gradient of the last forward pass's outputs.
    ///
    /// * `gradient`: `[P]`, overwritten; the other sizes are as for [`Training::forward`].
    ///
    /// # Panics
    ///
    /// If no forward pass came before.
    pub fn backward(
        &mut self,
        inputs: &Inputs,
        logits: &[f32],
        coordinates: &[f32],
        gradient: &mut [f32],
    ) {
        let packed = self.packed.take().expect("a forward pass came before");
        let (blocks, places) = (&self.blocks, &self.places);
        let size = self.groups.first().map_or(0, |group| group.pictures.len());
        self.groups.par_iter_mut().enumerate().for_each(|(at, group)| {
            group.gradients.fill(0.0);
            for (i, maps) in group.pictures.iter().enumerate() {
                let index = at * size + i;
                let outputs = [
                    &logits[index * ANCHORS..][..ANCHORS],
                    &coordinates[index * ANCHORS * COORDINATES..][..ANCHORS * COORDINATES],
                ];
                let picture = backward::PictureRun { pixels: inputs.picture(index), maps, outputs };
                backward::run(&packed, blocks, places, &picture, &mut group.gradients);
            }
        });
        let mut all: Vec<&mut Aligned> =
            self.groups.iter_mut().map(|group| &mut group.gradients).collect();
        gradients::add_up(&mut all);
        gradients::publish(all[0], places, &packed, gradient);
    }

    /// Divides `count` pictures into groups, reusing memory. Returns the size of every group except the last.
    fn make_groups(&mut self, count: usize) -> usize {
        let size = count.div_ceil(GROUPS).max(1);
        let (blocks, places) = (&self.blocks, &self.places);
        let empty = || Group { pictures: Vec::new(), gradients: places.zeros() };
        self.groups.resize_with(count.div_ceil(size), empty);
        for (at, group) in self.groups.iter_mut().enumerate() {
            group.pictures.resize_with(size.min(count - at * size), || Maps::new(blocks));
        }
        size
    }
}

fn picture(
    packed: &Packed,
    blocks: &[Block],
    pixels: &[f32],
    maps: &mut Maps,
    (logits, coordinates): (&mut [f32], &mut [f32]),
) {
    forward::picture(packed, blocks, pixels, maps, |_, _| ());
    for (grid, at) in [FIRST_BACKBONE_BLOCKS, blocks.len()].into_iter().enumerate() {
        layers::heads(grid, &packed.heads[grid], &maps.inputs[at], logits, coordinates);
    }
}
