//! A training step: forward with the batch's own statistics, and backward.

use super::backward;
use super::forward;
use super::inputs::Inputs;
use super::norm::Norm;
use super::packed::Packed;
use super::shape::{Block, Slots};
use super::tape::{self, Group};
use crate::model::layout::{ANCHORS, COORDINATES};
use crate::model::network::Form;

/// The network in training. What a step needs is kept for the next.
#[derive(Debug)]
pub struct Training {
    pub(super) slots: Slots,
    pub(super) blocks: Vec<Block>,
    pub(super) groups: Vec<Group>,
    pub(super) layers: Option<Layers>,
    count: usize,
}

/// Mean and variance of each channel of one convolution's output, without its bias.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Of each channel.
    pub mean: Vec<f64>,
    /// Of each channel.
    pub variance: Vec<f64>,
}

/// Measures what every convolution of the backbones of a folded network puts out, over some batches.
///
/// * `parameters`: of the folded network, flat.
///
/// # Panics
///
/// If there is no batch.
pub fn measure(parameters: &[f32], batches: &[Inputs]) -> Vec<Measured> {
    let mut training = Training::new(Form::Folded);
    let mut norms: Vec<Norm> = Vec::new();
    for batch in batches {
        let count = batch.count() * ANCHORS;
        let (mut logits, mut coordinates) = (vec![0.0; count], vec![0.0; count * COORDINATES]);
        training.forward(parameters, &mut [], batch, &mut logits, &mut coordinates);
        let layers = training.layers.take().expect("a batch ran forward");
        let found = std::iter::once(layers.stem).chain(layers.blocks.into_iter().flatten());
        if norms.is_empty() {
            norms = found.collect();
            continue;
        }
        for (norm, more) in norms.iter_mut().zip(found) {
            norm.sums.iter_mut().zip(&more.sums).for_each(|(sum, more)| *sum += more);
            norm.count += more.count;
        }
    }
    let slots = &training.slots;
    let slots = std::iter::once(&slots.stem).chain(slots.blocks.iter().flatten());
    norms.iter().zip(slots).map(|(norm, slot)| norm.measured(slot.shift.len())).collect()
}

/// The numbers of the step at hand.
#[derive(Debug)]
pub(super) struct Layers {
    pub(super) packed: Packed,
    pub(super) stem: Norm,
    /// Behind each block's depthwise and pointwise convolution.
    pub(super) blocks: Vec<[Norm; 2]>,
}

impl Training {
    /// With or without BatchNorm.
    pub fn new(form: Form) -> Self {
        Self {
            slots: Slots::new(form == Form::Unfolded),
            blocks: Block::all(),
            groups: Vec::new(),
            layers: None,
            count: 0,
        }
    }

    /// Runs a batch forward. `buffers`, the running statistics, follow the batch's.
    ///
    /// * `parameters`, `buffers`: as in [`Network`](crate::model::network::Network);
    /// * `logits`: `[N, 896]`, `coordinates`: `[N, 896, 16]`.
    pub fn forward(
        &mut self,
        parameters: &[f32],
        buffers: &mut [f32],
        inputs: &Inputs,
        logits: &mut [f32],
        coordinates: &mut [f32],
    ) {
        self.count = inputs.count();
        tape::make_groups(&mut self.groups, self.count, &self.blocks);
        let layers = forward::run(self, parameters, buffers, inputs);
        self.layers = Some(layers);
        let maps = self.groups.iter().flat_map(|group| &group.pictures);
        let outputs = logits.chunks_exact_mut(ANCHORS);
        let outputs = outputs.zip(coordinates.chunks_exact_mut(ANCHORS * COORDINATES));
        for (maps, (logits, coordinates)) in maps.zip(outputs) {
            logits.copy_from_slice(&maps.logits);
            coordinates.copy_from_slice(&maps.coordinates);
        }
    }

    /// The gradient of all parameters, from that of the last forward's outputs.
    ///
    /// * `gradient`: `[P]`, overwritten; other sizes as for [`Training::forward`].
    ///
    /// # Panics
    ///
    /// If nothing ran forward before.
    pub fn backward(
        &mut self,
        inputs: &Inputs,
        logits: &[f32],
        coordinates: &[f32],
        gradient: &mut [f32],
    ) {
        let layers = self.layers.take().expect("a batch ran forward");
        backward::run(self, &layers, inputs, [logits, coordinates], gradient);
    }

    /// Values a channel of a map of this side.
    pub(super) fn values(&self, side: usize) -> usize {
        self.count * side * side
    }
}
