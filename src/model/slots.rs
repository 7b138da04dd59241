//! The positions of each convolution's numbers in a network's two flat vectors.

use std::ops::Range;

use super::layout::{Conv, Layout, Role};

/// Whether the backbones' convolutions have BatchNorm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Convolutions with biases, as published.
    Folded,
    /// BatchNorm after every backbone convolution; these convolutions have no bias.
    Unfolded,
}

/// The positions of one convolution's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The weight, among the parameters.
    pub weight: Range<usize>,
    /// γ, among the parameters, if BatchNorm follows.
    pub gamma: Option<Range<usize>>,
    /// β, or the bias if no BatchNorm follows, among the parameters.
    pub shift: Range<usize>,
    /// Running mean and variance, among the buffers, if BatchNorm follows.
    pub statistics: Option<(Range<usize>, Range<usize>)>,
}

impl Slot {
    /// Returns the range of the weight, γ if there is one, and β or the bias, which are adjacent in this order.
    pub fn parameters(&self) -> Range<usize> {
        self.weight.start..self.shift.end
    }
}

/// Returns the slot of every convolution, in the order of [`Layout::convs`].
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
