//! The seeded split, for data sets without one.

use sha2::{Digest, Sha256};

use super::manifest::Split;

/// Assigns the share `val_share` of the pictures to validation. Pictures are ranked by a hash of `seed` and name, so
/// adding a picture moves few others to the other side. Pictures with and without faces are split separately, so that
/// both sides have some of each.
///
/// * `pictures`: each picture's name and whether it has a face.
pub(super) fn split(pictures: &[(&str, bool)], val_share: f64, seed: u64) -> Vec<Split> {
    let mut splits = vec![Split::Train; pictures.len()];
    for with_face in [true, false] {
        let mut group: Vec<usize> =
            (0..pictures.len()).filter(|&index| pictures[index].1 == with_face).collect();
        group.sort_by_key(|&index| key(pictures[index].0, seed));
        let mut count = (group.len() as f64 * val_share).round() as usize;
        if with_face && group.len() >= 2 {
            count = count.clamp(1, group.len() - 1);
        }
        group.iter().take(count).for_each(|&index| splits[index] = Split::Val);
    }
    splits
}

fn key(name: &str, seed: u64) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(name);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_split_depends_only_on_names_and_seed() {
        let names: Vec<String> = (0..100).map(|number| format!("{number}.jpg")).collect();
        let pictures: Vec<(&str, bool)> =
            names.iter().map(|name| (name.as_str(), !name.starts_with('9'))).collect();
        let splits = split(&pictures, 0.2, 0);
        assert_eq!(splits.iter().filter(|&&side| side == Split::Val).count(), 20);
        let reversed: Vec<_> = pictures.iter().rev().copied().collect();
        let mut back = split(&reversed, 0.2, 0);
        back.reverse();
        assert_eq!(splits, back);
        assert_ne!(splits, split(&pictures, 0.2, 1));
    }

    #[test]
    fn two_pictures_with_faces_go_to_different_sides() {
        let splits = split(&[("a", true), ("b", true)], 0.0, 0);
        assert_eq!(splits.iter().filter(|&&side| side == Split::Val).count(), 1);
    }
}
