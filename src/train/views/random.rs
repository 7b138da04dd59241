//! What is random in training views; the same seed gives the same.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// A separate generator for each view, so that neither threads nor a restart change it. Each part of the key is mixed
/// in separately: if combined first, two seeds would share their keys, swapped between pictures.
pub(super) fn rng((seed, epoch, index): (u64, u32, usize)) -> Pcg64Mcg {
    let mixed = |key: u64| Pcg64Mcg::seed_from_u64(key).random::<u64>();
    Pcg64Mcg::seed_from_u64(mixed(mixed(seed) ^ u64::from(epoch)) ^ index as u64)
}

/// The order of an epoch's pictures.
pub fn order(count: usize, seed: u64, epoch: u32) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(&mut rng((seed, epoch, usize::MAX)));
    order
}

pub(super) fn chance(rng: &mut Pcg64Mcg, probability: f64) -> bool {
    rng.random::<f64>() < probability
}

pub(super) fn log_uniform(rng: &mut Pcg64Mcg, min: f64, max: f64) -> f32 {
    let share: f64 = rng.random();
    (min * (max / min).powf(share)) as f32
}

/// A random centre for which a view of this length stays in `from..to`, or contains it.
pub(super) fn along(rng: &mut Pcg64Mcg, from: f32, to: f32, length: f32) -> f32 {
    let slack = (to - from - length).abs() / 2.0;
    f32::midpoint(from, to) + slack * rng.random_range(-1.0f32..=1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_seeds_epochs_or_pictures_share_random_numbers() {
        let keys = (0..3).flat_map(|seed| {
            (1..4).flat_map(move |epoch| (0..1239).map(move |index| (seed, epoch, index)))
        });
        let mut draws: Vec<u64> = keys.map(|key| rng(key).random()).collect();
        let count = draws.len();
        draws.sort_unstable();
        draws.dedup();
        assert_eq!(draws.len(), count);
    }

    #[test]
    fn an_epoch_shows_every_picture_once_in_its_own_order() {
        let mut first = order(50, 1, 1);
        assert_ne!(first, order(50, 1, 2));
        first.sort_unstable();
        assert_eq!(first, (0..50).collect::<Vec<_>>());
    }
}
