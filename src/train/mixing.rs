//! Chooses how much of the base model to mix into a fine-tuned model.
//!
//! A fine-tuned model detects more of the user's faces but misses some others. Mixing in the base model's weights
//! recovers many of the missed faces at no cost: see [`Weights::mixed`].

use super::validation::{Validation, validate};
use super::views::pictures::Pictures;
use crate::model::device::{Device, NeedsTorch};
use crate::model::runner::Runner;
use crate::model::tensors::Weights;
use crate::protocol::metrics::ValMetrics;
use crate::protocol::mixing::{Mix, Mixing, Reason};
use crate::protocol::train_spec::{Monitor, Retain, TrainSpec};

/// Shares of the base model to try.
const SHARES: [f64; 9] = [0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7];

/// Measures mixes of `tuned` with `base` and chooses one.
///
/// * `baseline`: the base model's validation; `beat`: called before every batch.
///
/// Returns the choice, the mixed weights and their validation.
///
/// # Errors
///
/// [`NeedsTorch`] in a build without libtorch, if the native engine cannot run the network on the device.
#[expect(clippy::too_many_arguments, reason = "the arguments are unrelated")]
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

/// How far below the best mix another mix may score and still be chosen for its larger share of the base model. This is
/// less than the difference that another seed makes. A larger share pays off on pictures outside the data set.
const FREE: f64 = 0.005;

/// Chooses among the mixes that are no worse than the base model for any face size. Among those within [`FREE`] of the
/// best [`ValMetrics::monitored`], the mix with the largest share of the base model wins. If every mix is worse for
/// some size, the mix with the smallest [`worst_loss`] wins.
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

/// Returns the largest drop in average precision for any face size; 0 or less if there is no drop.
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
    fn if_every_mix_loses_the_smallest_loss_wins() {
        let baseline = val(0.2, 0.5, 0.9);
        let curve = curve(&[val(0.6, 0.8, 0.7), val(0.5, 0.7, 0.85), val(0.4, 0.44, 0.88)]);
        assert_eq!(best(&curve, &baseline, Monitor::Ap50Ge6), (1, Reason::LosesLeast));
    }

    #[test]
    fn among_equally_good_mixes_the_largest_share_wins() {
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
