//! Where each convolution's numbers lie in a network's two flat vectors.

use std::ops::Range;

use super::layout::{Conv, Layout, Role};

/// Whether the backbones' convolutions have BatchNorm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Convolutions with biases, as published.
    Folded,
    /// BatchNorm after every convolution of the backbones, which then have no bias.
    Unfolded,
}

/// Where one convolution's numbers lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The weight, among the parameters.
    pub weight: Range<usize>,
    /// γ, among the parameters, where BatchNorm follows.
    pub gamma: Option<Range<usize>>,
    /// β, or the bias where no BatchNorm follows, among the parameters.
    pub shift: Range<usize>,
    /// Running mean and variance, among the buffers, where BatchNorm follows.
    pub statistics: Option<(Range<usize>, Range<usize>)>,
}

impl Slot {
    /// Weight, γ if there is one, and β or bias: in this order, without a gap.
    pub fn parameters(&self) -> Range<usize> {
        self.weight.start..self.shift.end
    }
}

/// The slot of every convolution, in the order of [`Layout::convs`].
pub fn slots(layout: &Layout, form: Form) -> Vec<Slot> {
    let (mut at, mut buffer) = (0, 0);
    let take = |at: &mut usize, length: usize| {
        *at += length;
        *at - length..*at
    };
    let slot = |conv: &Conv| {
        let channels = conv.shape[0];
        let normalised = form == Form::Unfolded && conv.role != Role::Head;
        Slot {
            weight: take(&mut at, conv.shape.iter().product()),
            gamma: normalised.then(|| take(&mut at, channels)),
            shift: take(&mut at, channels),
            statistics: normalised
                .then(|| (take(&mut buffer, channels), take(&mut buffer, channels))),
        }
    };
    layout.convs().iter().map(slot).collect()
}
