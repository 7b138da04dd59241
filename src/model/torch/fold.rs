//! Folds BatchNorm into the convolutions differentiably, in libtorch, and measures its initial statistics.

use tch::{Kind, Tensor};

use super::{Mode, Network, array};
use crate::model::layout::{EPSILON, Role};
use crate::model::numbers::Statistics;
use crate::model::slots::{Form, slots};

/// Measures the outputs of every backbone convolution over the given pictures.
///
/// * `folded`: the network to measure.
/// * `batches`: `[N, 3, side, side]` inputs of the layout's size, a few hundred pictures in total.
///
/// # Panics
///
/// If `folded` has BatchNorm or there are no pictures.
pub fn measure(folded: &Network, batches: &[Tensor]) -> Vec<Statistics> {
    assert_eq!(folded.form(), Form::Folded);
    assert!(!batches.is_empty(), "calibration needs pictures");
    let _guard = tch::no_grad_guard();
    let backbone = folded.convs().iter().take_while(|conv| conv.role != Role::Head).count();
    // Sum, sum of squares and count per channel. They are `f64`, because the variance is a difference of large numbers.
    let mut sums: Vec<Option<(Tensor, Tensor)>> = (0..backbone).map(|_| None).collect();
    let mut counts = vec![0.0; backbone];
    for batch in batches {
        folded.forward_observed(batch, Mode::Evaluate, &mut |index, ys| {
            if index >= backbone {
                return;
            }
            let ys = ys.to_kind(Kind::Double);
            let over = [0i64, 2, 3];
            let sum = ys.sum_dim_intlist(over.as_slice(), false, Kind::Double);
            let squares = ys.square().sum_dim_intlist(over.as_slice(), false, Kind::Double);
            counts[index] += (ys.numel() as i64 / ys.size()[1]) as f64;
            sums[index] = Some(match sums[index].take() {
                None => (sum, squares),
                Some((sum_before, squares_before)) => (sum_before + sum, squares_before + squares),
            });
        });
    }
    let pieces = folded.pieces();
    let statistics =
        sums.into_iter().zip(counts).zip(pieces.chunks_exact(2)).map(|((sums, count), pair)| {
            let (sum, squares) = sums.expect("every convolution was seen");
            let mean = sum / count;
            let variance = (squares / count - mean.square()).clamp_min(0.0);
            let bias = pair[1].to_kind(Kind::Double);
            let float = |t: &Tensor| array(t).values;
            Statistics { mean: float(&(mean - bias)), variance: float(&variance) }
        });
    statistics.collect()
}

/// Returns a network without BatchNorm that computes the same outputs in evaluation mode. A network that is already
/// folded is copied.
pub fn fold(network: &Network) -> Network {
    let _guard = tch::no_grad_guard();
    match network.form() {
        Form::Folded => network.with_numbers(&network.parameters.copy(), &network.buffers.copy()),
        Form::Unfolded => Fold::of(network).apply(network),
    }
}

/// Indices for computing the folded network's numbers, so that folding takes only a few operations on whole buffers.
/// Gradients flow back through these operations.
#[derive(Debug)]
pub struct Fold {
    /// `[C]`: for each normalised channel, the index of its γ in the parameters and of its mean and variance in the
    /// buffers.
    gammas: Tensor,
    means: Tensor,
    variances: Tensor,
    /// `[F]`: index of the parameter that each folded number comes from: a weight, a β or a head's bias.
    from: Tensor,
    /// `[W]`: indices of the folded numbers that are multiplied by γ / σ, and the channel of each.
    scaled: Tensor,
    scaled_by: Tensor,
    /// `[C]`: index of the folded number from which each channel's mean × γ / σ is subtracted.
    shifted: Tensor,
}

impl Fold {
    /// Prepares to fold networks of the same layout as this one.
    ///
    /// # Panics
    ///
    /// If the network has no BatchNorm.
    pub fn of(network: &Network) -> Self {
        assert_eq!(network.form(), Form::Unfolded);
        let (mut gammas, mut means, mut variances) = (Vec::new(), Vec::new(), Vec::new());
        let (mut from, mut scaled, mut scaled_by) = (Vec::new(), Vec::new(), Vec::new());
        let mut shifted = Vec::new();
        let whole = |range: std::ops::Range<usize>| range.start as i64..range.end as i64;
        for (conv, slot) in network.convs().iter().zip(slots(network.layout(), Form::Unfolded)) {
            let terms = conv.shape[1..].iter().product::<usize>() as i64;
            let (weights, outputs) = (slot.weight.len() as i64, slot.shift.len() as i64);
            let (folded, channel) = (from.len() as i64, gammas.len() as i64);
            from.extend(whole(slot.weight).chain(whole(slot.shift)));
            let (Some(gamma), Some((mean, variance))) = (slot.gamma, slot.statistics) else {
                continue;
            };
            scaled.extend(folded..folded + weights);
            scaled_by.extend((0..weights).map(|weight| channel + weight / terms));
            shifted.extend(folded + weights..folded + weights + outputs);
            gammas.extend(whole(gamma));
            means.extend(whole(mean));
            variances.extend(whole(variance));
        }
        let indices = |values: Vec<i64>| Tensor::from_slice(&values).to_device(network.device());
        let [gammas, means, variances, from] = [gammas, means, variances, from].map(indices);
        let [scaled, scaled_by, shifted] = [scaled, scaled_by, shifted].map(indices);
        Self { gammas, means, variances, from, scaled, scaled_by, shifted }
    }

    /// Folds a network, in double precision.
    pub fn apply(&self, network: &Network) -> Network {
        let [parameters, buffers] =
            [&network.parameters, &network.buffers].map(|flat| flat.to_kind(Kind::Double));
        let deviations = (buffers.index_select(0, &self.variances) + EPSILON).sqrt();
        let scales = parameters.index_select(0, &self.gammas) / deviations; // [C]
        let shifts = buffers.index_select(0, &self.means) * &scales;
        let numbers = parameters.index_select(0, &self.from); // [F]
        let factors = scales.index_select(0, &self.scaled_by);
        let factors = numbers.ones_like().index_copy(0, &self.scaled, &factors);
        let folded = (numbers * factors).index_add(0, &self.shifted, &shifts.neg());
        Network::of_folded(network.layout(), folded.to_kind(Kind::Float))
    }
}
