//! What a training step remembers between its layers, and how it goes over the pictures of a batch.

use rayon::prelude::*;

use super::aligned::Aligned;
use super::shape::{Block, STEM_KERNEL, STEM_SIDE, TAPS, head_columns, padded};
use crate::model::layout::{ANCHORS, COORDINATES, GRIDS, STEM_CHANNELS};

/// Groups into which the pictures of a batch are put. The sums of a group are added up in order, whatever
/// thread had it, so that results do not depend on the number of threads.
const GROUPS: usize = 16;
/// Rows of the stem's gradient for each row of its kernel: a whole number of tiles.
pub(super) const STEM_ROWS: usize = 16;

/// One picture's maps.
#[derive(Debug, Default)]
pub(super) struct Maps {
    /// Its number in the batch.
    pub(super) index: usize,
    /// What the stem's convolution gave.
    pub(super) stem: Aligned,
    /// What goes into each block, with a border, and what comes out of the last.
    pub(super) inputs: Vec<Aligned>,
    /// What each block's depthwise convolution gave.
    pub(super) depthwise: Vec<Aligned>,
    /// What its pointwise convolution gave.
    pub(super) pointwise: Vec<Aligned>,
    /// Backward: the gradient behind the block at hand, before its `ReLU`, and room for the next.
    pub(super) gradients: [Aligned; 2],
    /// Backward: the gradient behind its depthwise convolution's BatchNorm.
    pub(super) between: Aligned,
    /// Backward: the gradient that the first grid's heads give their map.
    pub(super) branch: Aligned,
    pub(super) logits: Vec<f32>,
    pub(super) coordinates: Vec<f32>,
}

impl Maps {
    fn new(index: usize, blocks: &[Block]) -> Self {
        let stem = STEM_SIDE * STEM_SIDE * STEM_CHANNELS;
        let widest = blocks.iter().map(|b| b.pixels() * b.wide()).max().unwrap_or(0).max(stem);
        let depthwise = |b: &Block| b.pixels() * b.wide_in();
        let last = blocks.last().map(|block| Aligned::zeros(block.bordered()));
        Self {
            index,
            stem: Aligned::zeros(stem),
            inputs: blocks.iter().map(|b| Aligned::zeros(b.bordered_in())).chain(last).collect(),
            depthwise: blocks.iter().map(|block| Aligned::zeros(depthwise(block))).collect(),
            pointwise: blocks.iter().map(|b| Aligned::zeros(b.pixels() * b.wide())).collect(),
            gradients: [Aligned::zeros(widest), Aligned::zeros(widest)],
            between: Aligned::zeros(blocks.iter().map(depthwise).max().unwrap_or(0)),
            branch: Aligned::zeros(GRIDS[0].side * GRIDS[0].side * GRIDS[0].channels),
            logits: vec![0.0; ANCHORS],
            coordinates: vec![0.0; ANCHORS * COORDINATES],
        }
    }
}

/// Gradients of the weights, as the kernels write them.
#[derive(Debug)]
pub(super) struct Gradients {
    /// `[5, 16, 24]`
    pub(super) stem: Aligned,
    /// Of each block `[9, C]`.
    pub(super) depthwise: Vec<Aligned>,
    /// Of each block `[O, I]`, against the outputs of the depthwise convolution before its BatchNorm.
    pub(super) pointwise: Vec<Aligned>,
    /// Of each grid `[columns, channels]`.
    pub(super) heads: Vec<Aligned>,
    /// Of each grid `[columns]`.
    pub(super) biases: Vec<Aligned>,
}

impl Gradients {
    pub(super) fn zeros(blocks: &[Block]) -> Self {
        let columns = || GRIDS.iter().map(|grid| padded(head_columns(grid)));
        Self {
            stem: Aligned::zeros(STEM_KERNEL * STEM_ROWS * STEM_CHANNELS),
            depthwise: blocks.iter().map(|block| Aligned::zeros(TAPS * block.wide_in())).collect(),
            pointwise: blocks.iter().map(|b| Aligned::zeros(b.wide() * b.wide_in())).collect(),
            heads: columns()
                .zip(GRIDS)
                .map(|(c, g)| Aligned::zeros(c * padded(g.channels)))
                .collect(),
            biases: columns().map(Aligned::zeros).collect(),
        }
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Aligned> {
        let Self { stem, depthwise, pointwise, heads, biases } = self;
        let rest = depthwise.iter_mut().chain(pointwise).chain(heads).chain(biases);
        std::iter::once(stem).chain(rest)
    }

    pub(super) fn clear(&mut self) {
        self.all_mut().for_each(|values| values.fill(0.0));
    }
}

/// Some pictures, which one thread goes through at a time.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) pictures: Vec<Maps>,
    pub(super) gradients: Gradients,
    sums: Vec<f64>,
}

/// Groups for this many pictures; those that are there are kept where they fit.
pub(super) fn make_groups(groups: &mut Vec<Group>, count: usize, blocks: &[Block]) {
    let size = count.div_ceil(GROUPS).max(1);
    let number = count.div_ceil(size);
    groups.truncate(number);
    while groups.len() < number {
        let gradients = Gradients::zeros(blocks);
        groups.push(Group { pictures: Vec::new(), gradients, sums: Vec::new() });
    }
    for (at, group) in groups.iter_mut().enumerate() {
        let first = at * size;
        let here = size.min(count - first);
        group.pictures.truncate(here);
        while group.pictures.len() < here {
            group.pictures.push(Maps::new(0, blocks));
        }
        group.pictures.iter_mut().enumerate().for_each(|(i, maps)| maps.index = first + i);
    }
}

/// Does something with every picture, on all threads; answers the sums that it added up, `[2, channels]`.
pub(super) fn over_pictures(
    groups: &mut [Group],
    channels: usize,
    work: impl Fn(&mut Maps, &mut [f64], &mut Gradients) + Sync,
) -> Vec<f64> {
    groups.par_iter_mut().for_each(|group| {
        let Group { pictures, gradients, sums } = group;
        sums.clear();
        sums.resize(2 * channels, 0.0);
        for maps in pictures.iter_mut() {
            work(maps, sums, gradients);
        }
    });
    let mut total = vec![0.0; 2 * channels];
    for group in groups {
        total.iter_mut().zip(&group.sums).for_each(|(total, sum)| *total += sum);
    }
    total
}
