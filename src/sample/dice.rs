//! Random choices for drawing. Each picture has its own generator, so pictures can be drawn independently.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// A seeded random generator with the kinds of choices that drawing needs.
pub(super) struct Dice(Pcg64);

impl Dice {
    /// Creates the generator for picture `index` of the set with this `seed`.
    pub(super) fn new(seed: u64, index: u64) -> Self {
        let base: u64 = Pcg64::seed_from_u64(seed).random();
        Self(Pcg64::seed_from_u64(base ^ index))
    }

    /// Returns true with probability `share`.
    pub(super) fn chance(&mut self, share: f32) -> bool {
        self.0.random::<f32>() < share
    }

    /// Returns a uniformly distributed number from `low` to `high`.
    pub(super) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.0.random::<f32>()
    }

    /// Returns a number from `low` to `high` whose logarithm is uniformly distributed. Both ends must be positive.
    pub(super) fn log_between(&mut self, low: f32, high: f32) -> f32 {
        self.between(low.ln(), high.ln()).exp()
    }

    /// Returns a uniformly distributed integer from `low` to `high`, inclusive.
    pub(super) fn whole(&mut self, low: u32, high: u32) -> u32 {
        self.0.random_range(low..=high)
    }

    /// Returns a number between `-spread` and `spread`, most often near 0.
    pub(super) fn wobble(&mut self, spread: f32) -> f32 {
        let sum: f32 = (0..3).map(|_| self.0.random::<f32>()).sum();
        (sum / 1.5 - 1.0) * spread
    }

    /// Returns -1 or 1 with equal probability.
    pub(super) fn side(&mut self) -> f32 {
        if self.chance(0.5) { 1.0 } else { -1.0 }
    }

    /// Returns one of `items`, all equally likely. There must be at least one.
    pub(super) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.0.random_range(0..items.len())]
    }

    /// Returns one of `items`, with a probability proportional to its weight. There must be at least one.
    pub(super) fn weighted<T: Copy>(&mut self, items: &[(f32, T)]) -> T {
        let mut left = self.between(0.0, items.iter().map(|(weight, _)| weight).sum());
        for &(weight, item) in items {
            left -= weight;
            if left < 0.0 {
                return item;
            }
        }
        items[items.len() - 1].1 // Rounding can leave no item selected.
    }

    /// Returns 32 random bits.
    pub(super) fn bits(&mut self) -> u32 {
        self.0.random()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_picture_of_each_seed_has_its_own_numbers() {
        let draw = |seed, index| Dice::new(seed, index).bits();
        let mut all: Vec<_> = (0..8).flat_map(|s| (0..8).map(move |i| draw(s, i))).collect();
        assert_eq!(all[11], draw(1, 3));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 64);
    }

    #[test]
    fn items_are_drawn_in_proportion_to_their_weights() {
        let mut dice = Dice::new(0, 0);
        let hits = (0..2000).filter(|_| dice.weighted(&[(3.0, true), (1.0, false)])).count();
        assert!((1400..1600).contains(&hits), "{hits}");
        assert!((0..200).all(|_| dice.weighted(&[(0.0, false), (1.0, true)])));
    }

    #[test]
    fn numbers_stay_in_their_range() {
        let mut dice = Dice::new(1, 0);
        for _ in 0..1000 {
            assert!((8.0..=200.0).contains(&dice.log_between(8.0, 200.0)));
            assert!(dice.wobble(2.0).abs() <= 2.0);
            assert!((3..=5).contains(&dice.whole(3, 5)));
        }
    }
}
