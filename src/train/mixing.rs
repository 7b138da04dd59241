//! How much of the base model to keep.
//!
//! A fine-tuned model finds more of the user's faces and forgets some others. Mixing the base model's weights into it
//! wins many of those back and costs nothing: see [`Weights::mixed`].

use super::validation::{Validation, validate};
use super::views::pictures::Pictures;
use crate::model::device::{Device, NeedsTorch};
use crate::model::runner::Runner;
use crate::model::tensors::Weights;
use crate::protocol::metrics::ValMetrics;
use crate::protocol::mixing::{Mix, Mixing, Reason};
use crate::protocol::train_spec::{Monitor, Retain, TrainSpec};

/// Shares of the base model that are tried.
const SHARES: [f64; 9] = [0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7];

/// Measures mixes of `tuned` with `base` and chooses one.
///
/// * `baseline`: what the base model finds; `beat`: called while work makes progress.
///
/// Returns the choice, the mixed weights and what they find.
///
/// # Errors
///
/// [`NeedsTorch`] in a build without libtorch, when our own kernels cannot run the network there.
#[expect(clippy::too_many_arguments, reason = "each is another thing")]
pub fn choose(
    tuned: &Weights,
    base: &Weights,
    retain: Retain,
    pictures: &Pictures,
    params: &TrainSpec,
    baseline: &Validation,
    device: Device,
    beat: &dyn Fn(),
) -> Result<(Mixing, Weights, Validation), NeedsTorch> {
    let shares = match retain {
        Retain::Auto => SHARES.to_vec(),
        Retain::Share(share) => vec![share],
    };
    let measure = |share: f64| {
        let weights = tuned.mixed(base, share as f32);
        let runner = Runner::new(&weights, device)?;
        let found = validate(&runner, pictures, &params.loss, Some(&baseline.detections), beat);
        Ok((weights, found))
    };
    let tried: Result<Vec<_>, NeedsTorch> = shares.iter().map(|&share| measure(share)).collect();
    let mut tried = tried?;
    let mix =
        |(&retain, (_, found)): (&f64, &(Weights, Validation))| Mix { retain, val: found.metrics };
    let curve: Vec<Mix> = shares.iter().zip(&tried).map(mix).collect();
    let (chosen, reason) = match retain {
        Retain::Auto => best(&curve, &baseline.metrics, params.monitor),
        Retain::Share(_) => (0, Reason::Requested),
    };
    let (weights, found) = tried.swap_remove(chosen);
    Ok((Mixing { retain: shares[chosen], reason, curve }, weights, found))
}

/// How much worse than the best mix another may be and still be chosen for keeping more: less than the difference
/// between two seeds. What it keeps shows not on these pictures, but on others.
const FREE: f64 = 0.005;

/// The rule: among mixes that are not worse than the base model for any size of face, take the one that keeps most of
/// it within [`FREE`] of the best [`ValMetrics::monitored`]; if there is none, the mix whose worst loss is smallest.
fn best(curve: &[Mix], baseline: &ValMetrics, monitor: Monitor) -> (usize, Reason) {
    let losses: Vec<f64> = curve.iter().map(|mix| worst_loss(&mix.val, baseline)).collect();
    let keeping: Vec<usize> = (0..curve.len()).filter(|&at| losses[at] <= 0.0).collect();
    let figure = |at: usize| curve[at].val.monitored(monitor);
    let best = keeping.iter().map(|&at| figure(at)).fold(f64::NEG_INFINITY, f64::max);
    let free = keeping.into_iter().filter(|&at| figure(at) >= best - FREE);
    if let Some(at) = free.max_by(|&a, &b| curve[a].retain.total_cmp(&curve[b].retain)) {
        return (at, Reason::KeepsEverySize);
    }
    let least = (0..curve.len()).min_by(|&a, &b| losses[a].total_cmp(&losses[b]));
    (least.unwrap_or(0), Reason::LosesLeast)
}

/// How much average precision fell for the size of face that fell most; 0 or less when none did.
fn worst_loss(val: &ValMetrics, baseline: &ValMetrics) -> f64 {
    let sizes = |m: &ValMetrics| [m.ap50_ge6, m.ap50_ge12, m.ap50_ge24];
    let pairs = sizes(baseline).into_iter().zip(sizes(val));
    let losses = pairs.filter_map(|(before, after)| Some(before? - after?));
    losses.fold(f64::NEG_INFINITY, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn val(ge6: f64, ge12: f64, ge24: f64) -> ValMetrics {
        let [ap50_ge6, ap50_ge12, ap50_ge24] = [Some(ge6), Some(ge12), Some(ge24)];
        ValMetrics { ap50_ge6, ap50_ge12, ap50_ge24, ..ValMetrics::default() }
    }

    fn curve(vals: &[ValMetrics]) -> Vec<Mix> {
        let mix = |(at, val): (usize, &ValMetrics)| Mix { retain: SHARES[at], val: *val };
        vals.iter().enumerate().map(mix).collect()
    }

    #[test]
    fn the_best_mix_that_loses_nothing_wins() {
        let baseline = val(0.2, 0.5, 0.9);
        let curve = curve(&[val(0.6, 0.8, 0.89), val(0.55, 0.8, 0.9), val(0.5, 0.8, 0.92)]);
        assert_eq!(best(&curve, &baseline, Monitor::Ap50Ge6), (1, Reason::KeepsEverySize));
    }

    #[test]
    fn if_every_mix_loses_the_one_that_loses_least_wins() {
        let baseline = val(0.2, 0.5, 0.9);
        let curve = curve(&[val(0.6, 0.8, 0.7), val(0.5, 0.7, 0.85), val(0.4, 0.44, 0.88)]);
        assert_eq!(best(&curve, &baseline, Monitor::Ap50Ge6), (1, Reason::LosesLeast));
    }

    #[test]
    fn among_mixes_as_good_as_the_best_the_one_that_keeps_most_wins() {
        let baseline = val(0.2, 0.5, 0.9);
        let curve = curve(&[
            val(0.6, 0.8, 0.95),
            val(0.599, 0.8, 0.95),
            val(0.596, 0.8, 0.95),
            val(0.594, 0.8, 0.95),
        ]);
        assert_eq!(best(&curve, &baseline, Monitor::Ap50Ge6), (2, Reason::KeepsEverySize));
    }

    #[test]
    fn sizes_without_faces_do_not_count() {
        let only = |ap: f64| ValMetrics { ap50_ge6: Some(ap), ..ValMetrics::default() };
        let curve = curve(&[only(0.5), only(0.4)]);
        assert_eq!(best(&curve, &only(0.1), Monitor::Ap50Ge6), (0, Reason::KeepsEverySize));
    }
}
