//! Random choices in training views. The same seed gives the same choices.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// Creates a view's random generator. Each view has a separate generator, so neither thread scheduling nor a restart
/// changes the view. Each part of the key is mixed in separately. Otherwise, two seeds could produce the same
/// generators for different pictures.
pub(super) fn rng((seed, epoch, index): (u64, u32, usize)) -> Pcg64Mcg {
    let mixed = |key: u64| Pcg64Mcg::seed_from_u64(key).random::<u64>();
    Pcg64Mcg::seed_from_u64(mixed(mixed(seed) ^ u64::from(epoch)) ^ index as u64)
}

/// Returns the indices `0..count` in an epoch's random order.
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

/// Draws a random centre such that a view of this length lies within `from..to`, or contains it if the view is longer.
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
    fn each_epoch_visits_every_picture_once_in_a_different_order() {
        let mut first = order(50, 1, 1);
        assert_ne!(first, order(50, 1, 2));
        first.sort_unstable();
        assert_eq!(first, (0..50).collect::<Vec<_>>());
    }
}
