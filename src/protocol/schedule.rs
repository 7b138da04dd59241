//! The batch size, the learning rate, the part of the network that trains, and the decay of the moving average.

use super::train_spec::{Schedule, TrainSpec};

/// Minimum number of optimizer steps for fine-tuning; see `docs/recipe.md`.
const ENOUGH_STEPS: u64 = 4000;
const SMALLEST_BATCH: u64 = 8;
/// Larger batches are no faster on a CPU.
const LARGEST_BATCH: u64 = 64;
/// A training step runs thousands of small operations on a GPU. In batches of up to 128 views, launching them takes
/// longer than running them; see `docs/performance.md`.
const LARGEST_BATCH_ON_GPU: u64 = 256;

/// Returns the number of views per batch: the requested number, or the largest power of two that gives a job on this
/// many pictures enough steps.
pub fn batch_size(spec: &TrainSpec, pictures: usize, on_gpu: bool) -> usize {
    if spec.batch_size > 0 {
        return spec.batch_size as usize;
    }
    let views = pictures as u64 * u64::from(spec.epochs);
    let fitting = (views / ENOUGH_STEPS).max(1).ilog2();
    let largest = if on_gpu { LARGEST_BATCH_ON_GPU } else { LARGEST_BATCH };
    (1u64 << fitting).clamp(SMALLEST_BATCH, largest) as usize
}

/// Whether a job's batch size can be divided by `divisor` without changing the job's steps.
pub fn can_divide_batches(spec: &TrainSpec, divisor: u32, views_per_step: u32) -> bool {
    views_per_step.is_multiple_of(spec.accumulate_batches * divisor)
}

/// Returns a step's learning rate, which rises linearly during the warm-up and then follows the schedule.
///
/// * `step`: number of optimizer steps done before this one, less than `steps_per_epoch × epochs`.
pub fn learning_rate(spec: &TrainSpec, step: u64, steps_per_epoch: u64) -> f64 {
    let total = (steps_per_epoch * u64::from(spec.epochs)) as f64;
    let warmup = (spec.warmup_epochs * steps_per_epoch as f64).min(total / 2.0).floor();
    let step = step as f64;
    if step < warmup {
        return spec.learning_rate * (step + 1.0) / warmup;
    }
    let done = (step - warmup) / (total - warmup).max(1.0); // 0..1
    let floor = spec.final_learning_rate_ratio;
    let share = match spec.schedule {
        Schedule::Cosine => {
            floor + (1.0 - floor) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
        }
        Schedule::Constant => 1.0,
        Schedule::Step => match done {
            ..0.6 => 1.0,
            0.6..0.85 => floor.sqrt(),
            _ => floor,
        },
    };
    spec.learning_rate * share
}

/// A part of the network to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrainedPart {
    /// The four heads.
    Heads,
    /// The heads and the second backbone.
    SecondBackbone,
    /// The whole network.
    All,
}

/// Returns the part of the network that trains in an epoch, and its share of the learning rate. `epoch` counts from 1.
pub fn part(spec: &TrainSpec, epoch: u32) -> (TrainedPart, f64) {
    let stages = &spec.unfreeze;
    if epoch <= stages.heads_epochs {
        (TrainedPart::Heads, stages.heads_rate)
    } else if epoch - stages.heads_epochs <= stages.second_backbone_epochs {
        (TrainedPart::SecondBackbone, stages.second_backbone_rate)
    } else {
        (TrainedPart::All, 1.0)
    }
}

/// Returns the decay of the moving average at this step. The decay is small at first and rises to `ema_decay`.
pub fn ema_decay(spec: &TrainSpec, step: u64) -> f64 {
    let step = step as f64;
    spec.ema_decay.min((1.0 + step) / (10.0 + step))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::train_spec::Unfreeze;

    #[test]
    fn the_rate_rises_to_its_peak_and_falls_to_its_floor() {
        let spec = TrainSpec { epochs: 10, warmup_epochs: 1.0, ..TrainSpec::default() };
        let rates: Vec<f64> = (0..1000).map(|step| learning_rate(&spec, step, 100)).collect();
        assert!(rates[..100].is_sorted());
        assert!((rates[99] - spec.learning_rate).abs() < 1e-12);
        assert!(rates[100..].is_sorted_by(|a, b| a >= b));
        assert!((rates[999] / spec.learning_rate - 0.01).abs() < 1e-3);
    }

    #[test]
    fn the_constant_schedule_stays_at_the_peak_and_the_step_schedule_drops_twice() {
        let rate = |schedule, step| {
            let spec =
                TrainSpec { epochs: 10, warmup_epochs: 0.0, schedule, ..TrainSpec::default() };
            learning_rate(&spec, step, 100) / spec.learning_rate
        };
        assert_eq!(rate(Schedule::Constant, 999), 1.0);
        let steps = [599, 600, 850].map(|step| rate(Schedule::Step, step));
        assert!((steps[0] - 1.0).abs() < 1e-9 && (steps[1] - 0.1).abs() < 1e-9, "{steps:?}");
        assert!((steps[2] - 0.01).abs() < 1e-9, "{steps:?}");
    }

    #[test]
    fn parts_of_the_network_are_unfrozen_in_stages() {
        let unfreeze = Unfreeze {
            heads_epochs: 1,
            heads_rate: 0.5,
            second_backbone_epochs: 2,
            ..Unfreeze::default()
        };
        let spec = TrainSpec { unfreeze, ..TrainSpec::default() };
        let parts = [1, 2, 3, 4].map(|epoch| part(&spec, epoch));
        let second = (TrainedPart::SecondBackbone, 1.0);
        assert_eq!(parts, [(TrainedPart::Heads, 0.5), second, second, (TrainedPart::All, 1.0)]);
        assert_eq!(part(&TrainSpec::default(), 1), (TrainedPart::All, 1.0));
    }

    #[test]
    fn a_warm_up_takes_at_most_half_the_job() {
        let spec = TrainSpec { epochs: 1, warmup_epochs: 50.0, ..TrainSpec::default() };
        assert!((learning_rate(&spec, 5, 10) - spec.learning_rate).abs() < 1e-12);
    }

    #[test]
    fn larger_jobs_get_larger_batches() {
        let size = |epochs, pictures| {
            let spec = TrainSpec { epochs, ..TrainSpec::default() };
            [false, true].map(|on_gpu| batch_size(&spec, pictures, on_gpu))
        };
        assert_eq!([size(5, 200), size(12, 1239), size(60, 1239)], [[8, 8], [8, 8], [16, 16]]);
        assert_eq!(size(100, 20_000), [64, 256]);
        let spec = TrainSpec { batch_size: 5, ..TrainSpec::default() };
        assert_eq!(batch_size(&spec, 1239, true), 5);
    }

    #[test]
    fn an_extended_job_has_the_learning_rates_of_an_equally_long_job() {
        let first = TrainSpec { epochs: 12, ..TrainSpec::default() };
        let longer = TrainSpec { epochs: 60, ..first.clone() };
        let (end, steps) = (12 * 155, 155);
        let rate = |spec, step| learning_rate(spec, step, steps);
        assert!(rate(&longer, end) > 50.0 * rate(&first, end - 1), "rises from the floor");
        let rest: Vec<f64> = (end..60 * 155).map(|step| rate(&longer, step)).collect();
        assert!(rest.is_sorted_by(|a, b| a >= b), "has no second warm-up");
    }

    #[test]
    fn batches_can_be_divided_only_if_steps_keep_their_number_of_views() {
        let spec = TrainSpec { accumulate_batches: 2, ..TrainSpec::default() };
        assert!(can_divide_batches(&spec, 4, 24) && !can_divide_batches(&spec, 8, 24));
    }

    #[test]
    fn the_average_forgets_quickly_at_first() {
        let spec = TrainSpec::default();
        assert!(ema_decay(&spec, 0) < 0.11);
        assert_eq!(ema_decay(&spec, 100_000), spec.ema_decay);
        assert_eq!(ema_decay(&TrainSpec { ema_decay: 0.0, ..spec }, 9), 0.0);
    }
}
