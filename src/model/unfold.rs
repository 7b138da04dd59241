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
    if network.form() == Form::Folded {
        return network.with_numbers(&network.parameters.copy(), &network.buffers.copy());
    }
    let (pieces, statistics) = (network.pieces(), network.statistics());
    let (mut pieces, mut statistics) = (pieces.iter(), statistics.iter());
    let mut next = || pieces.next().expect("as many pieces as convolutions need");
    let double = |t: &Tensor| t.to_kind(Kind::Double);
    let mut folded = Vec::new();
    for conv in network.convs() {
        let weight = next();
        if conv.role == Role::Head {
            folded.extend([weight.copy(), next().copy()]);
            continue;
        }
        let (gamma, beta) = (double(next()), double(next()));
        let mut statistic = || double(statistics.next().expect("a mean and a variance each"));
        let (mean, variance) = (statistic(), statistic());
        let scale = gamma / (variance + EPSILON).sqrt(); // [C]
        let weight = double(weight) * scale.reshape([-1, 1, 1, 1]);
        folded.extend([weight.to_kind(Kind::Float), (beta - mean * scale).to_kind(Kind::Float)]);
    }
    Network::from_pieces(Form::Folded, network.layout(), &folded, &[], network.device())
}
