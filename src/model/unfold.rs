//! Putting BatchNorm back between folded convolutions, and folding it away again.

use tch::{Kind, Tensor};

use super::cpu::{self, Inputs};
use super::layout::Role;
use super::network::{self, EPSILON, Form, Mode, Network};

/// Mean and variance a channel of one convolution's output, without its bias.
#[derive(Debug)]
pub struct Statistics {
    mean: Tensor,
    variance: Tensor,
}

/// Measures what every backbone convolution puts out for the given pictures.
///
/// * `folded`: the network to measure.
/// * `batches`: `[N, 3, 128, 128]` inputs; some hundred pictures in all.
///
/// # Panics
///
/// If `folded` has BatchNorm, or there is no picture.
pub fn measure(folded: &Network, batches: &[Tensor]) -> Vec<Statistics> {
    assert_eq!(folded.form(), Form::Folded);
    assert!(!batches.is_empty(), "calibration needs pictures");
    let _guard = tch::no_grad_guard();
    let backbone = folded.convs().iter().take_while(|conv| conv.role != Role::Head).count();
    // Sum, sum of squares, and count, a channel; in f64, for they are subtracted from each other.
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
            let float = |t: Tensor| t.to_kind(Kind::Float);
            Statistics { mean: float(mean - bias), variance: float(variance) }
        });
    statistics.collect()
}

/// [`measure`] on a CPU, of pictures in memory.
///
/// # Panics
///
/// If `folded` has BatchNorm, or there is no batch.
pub fn measure_in_memory(folded: &Network, batches: &[Inputs]) -> Vec<Statistics> {
    assert_eq!(folded.form(), Form::Folded);
    let float = |values: &[f64]| Tensor::from_slice(values).to_kind(Kind::Float);
    let found = cpu::measure(&network::array(&folded.parameters).values, batches);
    found
        .iter()
        .map(|found| Statistics { mean: float(&found.mean), variance: float(&found.variance) })
        .collect()
}

/// BatchNorm that changes nothing in evaluation mode and, for pictures like the measured ones,
/// nearly nothing in training mode: running mean μ and variance σ² as measured,
/// γ = √(σ² + ε), β = μ + bias.
///
/// # Panics
///
/// If `folded` has BatchNorm.
pub fn calibrated(folded: &Network, statistics: &[Statistics]) -> Network {
    unfold(folded, |index, bias| {
        let Statistics { mean, variance } = &statistics[index];
        let gamma = (variance + EPSILON).sqrt();
        (gamma, mean + bias, mean.shallow_clone(), variance.shallow_clone())
    })
}

/// The published way: γ = 1 (here √(1 + ε), so that evaluation is exact), β = bias, mean 0, variance 1.
/// Training mode normalises with statistics the weights never saw.
///
/// # Panics
///
/// If `folded` has BatchNorm.
pub fn identity(folded: &Network) -> Network {
    unfold(folded, |_, bias| {
        let gamma = bias.full_like((1.0 + EPSILON).sqrt());
        (gamma, bias.shallow_clone(), bias.zeros_like(), bias.ones_like())
    })
}

fn unfold(
    folded: &Network,
    mut normalise: impl FnMut(usize, &Tensor) -> (Tensor, Tensor, Tensor, Tensor),
) -> Network {
    assert_eq!(folded.form(), Form::Folded);
    let _guard = tch::no_grad_guard();
    let (mut parameters, mut buffers) = (Vec::new(), Vec::new());
    let pieces = folded.pieces();
    for (index, (conv, pair)) in folded.convs().iter().zip(pieces.chunks_exact(2)).enumerate() {
        parameters.push(pair[0].copy());
        if conv.role == Role::Head {
            parameters.push(pair[1].copy());
        } else {
            let (gamma, beta, mean, variance) = normalise(index, &pair[1]);
            parameters.extend([gamma, beta]);
            buffers.extend([mean, variance]);
        }
    }
    Network::from_pieces(Form::Unfolded, folded.layout(), &parameters, &buffers, folded.device())
}

/// The same function in evaluation mode, without BatchNorm. A folded network comes back as a copy.
pub fn fold(network: &Network) -> Network {
    let _guard = tch::no_grad_guard();
    match network.form() {
        Form::Folded => network.with_numbers(&network.parameters.copy(), &network.buffers.copy()),
        Form::Unfolded => Fold::of(network).apply(network),
    }
}

/// Where the folded network's numbers come from, so that folding is a few operations on whole buffers. A gradient finds its
/// way back through it.
#[derive(Debug)]
pub struct Fold {
    /// `[C]`: where γ lies among the parameters, and mean and variance among the buffers, of each channel behind BatchNorm.
    gammas: Tensor,
    means: Tensor,
    variances: Tensor,
    /// `[F]`: the weight, β, or bias of a head that a folded number is made of.
    from: Tensor,
    /// `[W]`: the folded numbers that γ / σ multiplies, and of which channel that is.
    scaled: Tensor,
    scaled_by: Tensor,
    /// `[C]`: the folded number from which a channel's mean × γ / σ is taken off.
    shifted: Tensor,
}

impl Fold {
    /// For networks like this one.
    ///
    /// # Panics
    ///
    /// If it has no BatchNorm.
    pub fn of(network: &Network) -> Self {
        assert_eq!(network.form(), Form::Unfolded);
        let (mut gammas, mut means, mut variances) = (Vec::new(), Vec::new(), Vec::new());
        let (mut from, mut scaled, mut scaled_by) = (Vec::new(), Vec::new(), Vec::new());
        let mut shifted = Vec::new();
        let (mut at, mut statistic) = (0, 0); // Among the parameters, and the buffers.
        for conv in network.convs() {
            let [outputs, terms @ ..] = conv.shape.map(|length| length as i64);
            let terms: i64 = terms.iter().product();
            let (weights, folded) = (outputs * terms, from.len() as i64);
            from.extend(at..at + weights);
            at += weights;
            if conv.role != Role::Head {
                let channel = gammas.len() as i64;
                scaled.extend(folded..folded + weights);
                scaled_by.extend((0..weights).map(|weight| channel + weight / terms));
                shifted.extend(folded + weights..folded + weights + outputs);
                gammas.extend(at..at + outputs);
                means.extend(statistic..statistic + outputs);
                variances.extend(statistic + outputs..statistic + 2 * outputs);
                at += outputs;
                statistic += 2 * outputs;
            }
            from.extend(at..at + outputs);
            at += outputs;
        }
        let indices = |values: Vec<i64>| Tensor::from_slice(&values).to_device(network.device());
        let [gammas, means, variances, from] = [gammas, means, variances, from].map(indices);
        let [scaled, scaled_by, shifted] = [scaled, scaled_by, shifted].map(indices);
        Self { gammas, means, variances, from, scaled, scaled_by, shifted }
    }

    /// The folded network, in double precision on the way.
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
