//! Which detections of one picture are of which faces.

use super::average_precision::PictureResult;

/// One picture at one threshold. Numbers are indices into its [`PictureResult`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matching {
    /// Detections of no face.
    pub false_detections: Vec<usize>,
    /// Faces that no detection matches.
    pub missed: Vec<usize>,
}

/// IoU from which a detection is of a face.
const MIN_IOU: f32 = 0.5;

/// Matches as [`super::average_precision::Ranking::curve`] does at IoU 0.5, down to a score.
///
/// * `min_face`: faces whose longer side is below this, in the picture's units, are ignored: finding
///   one is no mistake, missing one neither.
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
            let by_overlap = a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)); // the first of equals
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
    fn the_threshold_decides_what_is_false_and_what_is_missed() {
        let detections = vec![(at(0.5, 0.2), 0.3), (at(0.2, 0.1), 0.9), (at(0.21, 0.1), 0.8)];
        let picture = PictureResult { detections, faces: vec![at(0.2, 0.1), at(0.8, 0.1)] };
        let high = matching(&picture, 0.5, 0.0);
        assert_eq!(high, Matching { false_detections: vec![2], missed: vec![1] });
        assert_eq!(matching(&picture, 0.1, 0.0).false_detections, [2, 0]);
    }

    #[test]
    fn small_faces_are_neither_found_nor_missed() {
        let faces = vec![at(0.2, 0.05), at(0.8, 0.05), at(0.5, 0.2)];
        let picture = PictureResult { detections: vec![(at(0.2, 0.05), 0.9)], faces };
        let matching = matching(&picture, 0.5, 0.1);
        assert_eq!(matching, Matching { false_detections: vec![], missed: vec![2] });
    }
}
