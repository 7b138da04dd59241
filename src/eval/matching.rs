//! Matches one picture's detections with its faces.

use super::average_precision::PictureResult;

/// One picture's mistakes at one threshold, as indices into its [`PictureResult`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matching {
    /// Detections that match no face.
    pub false_detections: Vec<usize>,
    /// Faces that no detection matches.
    pub missed: Vec<usize>,
}

/// Minimum IoU for a detection to match a face.
const MIN_IOU: f32 = 0.5;

/// Matches detections with at least `threshold`, like [`super::average_precision::Ranking::curve`] at IoU 0.5.
///
/// * `min_face`: minimum length of a face's longer side, in the units of `picture`. Smaller faces are ignored: neither
///   detecting nor missing one is a mistake.
pub fn matching(picture: &PictureResult, threshold: f32, min_face: f32) -> Matching {
    let counts = |face: usize| picture.faces[face].longer_side() >= min_face;
    let mut order: Vec<usize> = (0..picture.detections.len())
        .filter(|&index| picture.detections[index].1 >= threshold)
        .collect();
    order.sort_by(|&a, &b| picture.detections[b].1.total_cmp(&picture.detections[a].1));
    let mut taken = vec![false; picture.faces.len()];
    let mut false_detections = Vec::new();
    for index in order {
        let rect = &picture.detections[index].0;
        let overlaps = picture.faces.iter().map(|face| rect.iou(face)).enumerate();
        let free = overlaps.filter(|&(face, iou)| iou >= MIN_IOU && !taken[face]);
        let best = free.max_by(|a, b| {
            let by_overlap = a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)); // the first face wins a tie
            counts(a.0).cmp(&counts(b.0)).then(by_overlap)
        });
        match best {
            Some((face, _)) => taken[face] = true,
            None => false_detections.push(index),
        }
    }
    let missed = (0..taken.len()).filter(|&face| !taken[face] && counts(face)).collect();
    Matching { false_detections, missed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Rect;

    fn at(x: f32, side: f32) -> Rect {
        Rect::around(x, 0.5, side, side)
    }

    #[test]
    fn detections_below_the_threshold_are_ignored() {
        let detections = vec![(at(0.5, 0.2), 0.3), (at(0.2, 0.1), 0.9), (at(0.21, 0.1), 0.8)];
        let picture = PictureResult { detections, faces: vec![at(0.2, 0.1), at(0.8, 0.1)] };
        let high = matching(&picture, 0.5, 0.0);
        assert_eq!(high, Matching { false_detections: vec![2], missed: vec![1] });
        assert_eq!(matching(&picture, 0.1, 0.0).false_detections, [2, 0]);
    }

    #[test]
    fn small_faces_are_ignored() {
        let faces = vec![at(0.2, 0.05), at(0.8, 0.05), at(0.5, 0.2)];
        let picture = PictureResult { detections: vec![(at(0.2, 0.05), 0.9)], faces };
        let matching = matching(&picture, 0.5, 0.1);
        assert_eq!(matching, Matching { false_detections: vec![], missed: vec![2] });
    }
}
