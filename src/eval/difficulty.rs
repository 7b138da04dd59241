//! Average precision by difficulty, measured as in WIDER FACE.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::average_precision::{PictureResult, Ranking};
use crate::data::Difficulty;

/// Average precision on faces up to a difficulty.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DifficultyRow {
    /// Faces up to this difficulty count. All others, including those of unknown difficulty, are ignored: neither
    /// detecting nor missing one is a mistake.
    pub difficulty: Difficulty,
    /// Number of faces that count.
    pub faces: usize,
    /// Average precision at IoU 0.5.
    pub ap50: Option<f64>,
}

/// Measures average precision on easy, medium and hard faces by the benchmark's protocol. All detections are in one
/// ranking, and each level includes the easier ones. Returns no rows if no face's difficulty is known.
///
/// * `difficulties`: the difficulty of each face in each picture. A picture's list is empty if none is known.
///
/// Source: Yang et al., <https://arxiv.org/abs/1511.06523>, section 4, and the benchmark's evaluation code. That code
/// uses a thousand thresholds; here every detection's score is a threshold.
pub fn by_difficulty(
    results: &[PictureResult],
    difficulties: &[&[Option<Difficulty>]],
) -> Vec<DifficultyRow> {
    let of_picture = |(result, known): (&PictureResult, &&[Option<Difficulty>])| {
        let mut known = known.to_vec();
        known.resize(result.faces.len(), None);
        known
    };
    let all: Vec<_> = results.iter().zip(difficulties).flat_map(of_picture).collect();
    if all.iter().all(Option::is_none) {
        return Vec::new();
    }
    let ranking = Ranking::new(results, 1.0); // Sizes do not matter here.
    let row = |difficulty: Difficulty| {
        let curve =
            ranking.curve_of(0.5, |face| all[face].is_some_and(|known| known <= difficulty));
        let (faces, ap50) = (curve.faces() as usize, curve.average_precision());
        DifficultyRow { difficulty, faces, ap50 }
    };
    [Difficulty::Easy, Difficulty::Medium, Difficulty::Hard].map(row).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Rect;

    #[test]
    fn harder_faces_are_ignored_when_easier_ones_are_measured() {
        let at = |x: f32| Rect::around(x, 0.5, 0.1, 0.1);
        // The hard face has the best score, the easy one is missed, and the face of unknown difficulty is detected.
        let detections = vec![(at(0.2), 0.9), (at(0.4), 0.8), (at(0.8), 0.7)];
        let faces = vec![at(0.2), at(0.4), at(0.6), at(0.8)];
        let result = PictureResult { detections, faces };
        let (easy, medium, hard) = (Difficulty::Easy, Difficulty::Medium, Difficulty::Hard);
        let known = [Some(hard), Some(medium), Some(easy), None];
        let rows = by_difficulty(std::slice::from_ref(&result), &[&known]);
        let found: Vec<_> = rows.iter().map(|row| (row.difficulty, row.faces, row.ap50)).collect();
        let two_thirds = Some(2.0 / 3.0);
        assert_eq!(found, [(easy, 1, Some(0.0)), (medium, 2, Some(0.5)), (hard, 3, two_thirds)]);
        assert_eq!(by_difficulty(&[result], &[&[]]), [], "no difficulty is known");
    }
}
