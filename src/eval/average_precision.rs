//! Average precision, and precision and recall by score.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::geometry::Rect;

/// One picture's detections and annotated faces, in fractions of the network's square unless stated otherwise.
#[derive(Debug, Clone, Default)]
pub struct PictureResult {
    /// Boxes and scores, in any order.
    pub detections: Vec<(Rect, f32)>,
    /// The annotated faces.
    pub faces: Vec<Rect>,
}

/// All pictures' detections ranked by score, with the faces that each can match.
#[derive(Debug)]
pub struct Ranking {
    /// Best score first.
    detections: Vec<Ranked>,
    /// Length of each face's longer side, in input pixels.
    sizes: Vec<f32>,
}

#[derive(Debug)]
struct Ranked {
    score: f32,
    /// Length of the longer side, in input pixels.
    size: f32,
    /// `(face, IoU)` of each face with an IoU of at least 0.5, largest IoU first.
    candidates: Vec<(usize, f32)>,
}

/// Cumulative true and false positives by score.
#[derive(Debug, Clone, Default)]
pub struct Curve {
    /// Each detection's score, and the true and false positives up to and including it. Best score first.
    points: Vec<(f32, u32, u32)>,
    /// Number of faces that count.
    faces: u32,
}

/// Precision, recall and F1 at one score threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Operating {
    /// Detections with at least this score count.
    pub threshold: f32,
    /// Share of the detections that match a face.
    pub precision: f64,
    /// Share of the faces that are detected.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
}

/// The lowest IoU threshold in use.
const MIN_IOU: f32 = 0.5;

impl Ranking {
    /// Ranks the detections of all pictures.
    ///
    /// * `input_size`: side of the network's square, in pixels.
    pub fn new(results: &[PictureResult], input_size: f32) -> Self {
        let mut detections = Vec::new();
        let mut sizes = Vec::new();
        for result in results {
            for (rect, score) in &result.detections {
                let overlap = |(face, other): (usize, &Rect)| (sizes.len() + face, rect.iou(other));
                let mut candidates: Vec<_> = result.faces.iter().enumerate().map(overlap).collect();
                candidates.retain(|&(_, iou)| iou >= MIN_IOU);
                candidates.sort_by(|a, b| b.1.total_cmp(&a.1));
                let size = rect.longer_side() * input_size;
                detections.push(Ranked { score: *score, size, candidates });
            }
            sizes.extend(result.faces.iter().map(|face| face.longer_side() * input_size));
        }
        // The sort is stable, so ties keep the pictures' order.
        detections.sort_by(|a, b| b.score.total_cmp(&a.score));
        Self { detections, sizes }
    }

    /// Matches the detections with faces, best score first. Each detection takes the unmatched face that it overlaps
    /// most, if their IoU is at least `min_iou`; faces that count take precedence. Faces under `min_size` pixels do not
    /// count: a detection that matches one is neither a true nor a false positive.
    pub fn curve(&self, min_iou: f32, min_size: f32) -> Curve {
        self.walk(min_iou, |face| self.sizes[face] >= min_size, |_| true)
    }

    /// Like [`Ranking::curve`], but only faces with a size in `sizes` count. An unmatched detection is a false positive
    /// only if its size is in `sizes`; otherwise another bucket counts it.
    ///
    /// Source: COCO's `areaRng`, with length instead of area.
    pub fn curve_within(&self, min_iou: f32, sizes: &Range<f32>) -> Curve {
        self.walk(min_iou, |face| sizes.contains(&self.sizes[face]), |size| sizes.contains(&size))
    }

    /// Like [`Ranking::curve`], but `counts` decides which faces count. Faces are numbered picture by picture.
    pub fn curve_of(&self, min_iou: f32, counts: impl Fn(usize) -> bool) -> Curve {
        self.walk(min_iou, counts, |_| true)
    }

    /// Matches the detections with faces, best score first.
    ///
    /// * `counts`: whether a face counts.
    /// * `is_false`: whether an unmatched detection of a given size is a false positive.
    fn walk(
        &self,
        min_iou: f32,
        counts: impl Fn(usize) -> bool,
        is_false: impl Fn(f32) -> bool,
    ) -> Curve {
        let mut taken = vec![false; self.sizes.len()];
        let (mut hits, mut misses) = (0, 0);
        let mut points = Vec::with_capacity(self.detections.len());
        for Ranked { score, size, candidates } in &self.detections {
            let free = || candidates.iter().filter(|&&(face, iou)| iou >= min_iou && !taken[face]);
            let best = free().find(|&&(face, _)| counts(face)).or_else(|| free().next());
            match best {
                Some(&(face, _)) => {
                    taken[face] = true;
                    if !counts(face) {
                        continue;
                    }
                    hits += 1;
                }
                None if is_false(*size) => misses += 1,
                None => continue,
            }
            points.push((*score, hits, misses));
        }
        let faces = (0..self.sizes.len()).filter(|&face| counts(face)).count() as u32;
        Curve { points, faces }
    }
}

impl Curve {
    /// Returns the area under the precision-recall curve, with precision made monotonic, or `None` without faces.
    pub fn average_precision(&self) -> Option<f64> {
        if self.faces == 0 {
            return None;
        }
        let (mut area, mut best, mut hits_above) = (0.0, 0.0f64, None);
        for &(_, hits, misses) in self.points.iter().rev() {
            if let Some(above) = hits_above {
                area += f64::from(above - hits) * best;
            }
            best = best.max(f64::from(hits) / f64::from(hits + misses));
            hits_above = Some(hits);
        }
        area += f64::from(hits_above.unwrap_or(0)) * best;
        Some(area / f64::from(self.faces))
    }

    /// Returns the number of faces that count.
    pub fn faces(&self) -> u32 {
        self.faces
    }

    /// Returns the score of each detection that counts, best first, and whether it matches a face.
    pub fn outcomes(&self) -> impl Iterator<Item = (f32, bool)> {
        let hits_before = std::iter::once(0).chain(self.points.iter().map(|&(_, hits, _)| hits));
        self.points
            .iter()
            .zip(hits_before)
            .map(|(&(score, hits, _), before)| (score, hits > before))
    }

    /// Samples at most `count` points, evenly spaced in recall, from the best score to the worst. Returns no points
    /// without faces or detections.
    pub fn sampled(&self, count: u32) -> Vec<Operating> {
        let Some(&(_, all_hits, _)) = self.points.last().filter(|_| self.faces > 0) else {
            return Vec::new();
        };
        // The last point has the worst score. Each other point is the first one that reaches its share of the recall.
        let first_with = |hits: u32| self.points.partition_point(|point| point.1 < hits);
        let steps = count.saturating_sub(1).max(1);
        let wanted = (0..steps).map(|step| (all_hits * step).div_ceil(steps).max(1));
        let mut indices: Vec<usize> = wanted.map(first_with).collect();
        indices.push(self.points.len() - 1);
        indices.retain(|&index| index < self.points.len());
        indices.dedup();
        let operating = |index: usize| {
            let (score, hits, misses) = self.points[index];
            self.operating(score, hits, misses)
        };
        indices.into_iter().map(operating).collect()
    }

    /// Returns the figures at one score threshold, or `None` without faces.
    pub fn at(&self, threshold: f32) -> Option<Operating> {
        let below = self.points.partition_point(|&(score, _, _)| score >= threshold);
        let (hits, misses) = match below.checked_sub(1) {
            Some(last) => (self.points[last].1, self.points[last].2),
            None => (0, 0),
        };
        (self.faces > 0).then(|| self.operating(threshold, hits, misses))
    }

    /// Returns the figures at the score with the best F1, or `None` without faces or detections.
    pub fn best(&self) -> Option<Operating> {
        if self.faces == 0 {
            return None;
        }
        let all =
            self.points.iter().map(|&(score, hits, misses)| self.operating(score, hits, misses));
        all.max_by(|a, b| a.f1.total_cmp(&b.f1))
    }

    fn operating(&self, threshold: f32, hits: u32, misses: u32) -> Operating {
        let share = |part: u32, whole: u32| {
            if whole == 0 { 0.0 } else { f64::from(part) / f64::from(whole) }
        };
        let precision = share(hits, hits + misses);
        let recall = share(hits, self.faces);
        let f1 = share(2 * hits, hits + misses + self.faces);
        Operating { threshold, precision, recall, f1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIXELS: f32 = 128.0;

    fn at(x: f32) -> Rect {
        Rect::around(x, 0.5, 0.1, 0.1)
    }

    fn ap(results: &[PictureResult], min_size: f32) -> Option<f64> {
        Ranking::new(results, PIXELS).curve(0.5, min_size).average_precision()
    }

    #[test]
    fn the_average_precision_of_perfect_detections_is_one() {
        let faces = vec![at(0.2), at(0.8)];
        let detections = vec![(at(0.2), 0.9), (at(0.8), 0.3)];
        assert_eq!(ap(&[PictureResult { detections, faces }], 0.0), Some(1.0));
    }

    #[test]
    fn a_second_detection_of_a_face_is_a_false_positive() {
        // In order: true, false, true. The precision is 1, 1/2, 2/3, and the area is 1/2 × 1 + 1/2 × 2/3.
        let faces = vec![at(0.2), at(0.8)];
        let detections = vec![(at(0.2), 0.9), (at(0.21), 0.8), (at(0.8), 0.3)];
        let result = PictureResult { detections, faces };
        let expected = 0.5 + 0.5 * 2.0 / 3.0;
        assert!((ap(std::slice::from_ref(&result), 0.0).unwrap() - expected).abs() < 1e-9);

        let curve = Ranking::new(&[result], PIXELS).curve(0.5, 0.0);
        let half = curve.at(0.5).unwrap();
        assert_eq!((half.precision, half.recall, half.f1), (0.5, 0.5, 0.5));
        let best = curve.best().unwrap();
        assert_eq!((best.threshold, best.f1), (0.3, 0.8));
    }

    #[test]
    fn faces_below_the_minimum_size_are_ignored() {
        let small = Rect::around(0.8, 0.5, 0.02, 0.02);
        let faces = vec![at(0.2), small];
        let found = PictureResult { detections: vec![(small, 0.9), (at(0.2), 0.5)], faces };
        assert_eq!(ap(&[found], 6.0), Some(1.0));
        let lost = PictureResult { detections: vec![(at(0.2), 0.5)], faces: vec![at(0.2), small] };
        assert_eq!(ap(std::slice::from_ref(&lost), 6.0), Some(1.0));
        assert_eq!(ap(&[lost], 0.0), Some(0.5));
    }

    #[test]
    fn a_size_bucket_ignores_other_sizes() {
        // Both faces are 12.8 px long. The false detection of that size counts; the large one does not.
        let large = Rect::around(0.5, 0.2, 0.3, 0.3);
        let detections = vec![(large, 0.9), (at(0.5), 0.8), (at(0.2), 0.7)];
        let result = PictureResult { detections, faces: vec![at(0.2), at(0.8)] };
        let ranking = Ranking::new(&[result], PIXELS);
        let small = ranking.curve_within(0.5, &(12.0..24.0));
        assert_eq!(small.outcomes().collect::<Vec<_>>(), [(0.8, false), (0.7, true)]);
        assert_eq!((small.faces(), small.average_precision()), (2, Some(0.25)));
        assert_eq!(ranking.curve_within(0.5, &(24.0..48.0)).average_precision(), None);
    }

    #[test]
    fn a_sampled_curve_keeps_both_ends() {
        let faces: Vec<Rect> = (0..8u8).map(|n| at(f32::from(n) * 0.12 + 0.06)).collect();
        let scored = |(n, face): (usize, &Rect)| (*face, 0.9 - n as f32 * 0.1);
        let detections = faces.iter().enumerate().map(scored).collect();
        let curve = Ranking::new(&[PictureResult { detections, faces }], PIXELS).curve(0.5, 0.0);
        let sampled = curve.sampled(5);
        let recalls: Vec<f64> = sampled.iter().map(|point| point.recall).collect();
        assert_eq!(recalls, [0.125, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(curve.sampled(200).len(), 8);
        assert!(Curve::default().sampled(5).is_empty());
    }

    #[test]
    fn average_precision_is_undefined_without_faces() {
        let result = PictureResult { detections: vec![(at(0.5), 0.9)], faces: vec![] };
        assert_eq!(ap(&[result], 0.0), None);
        assert_eq!(
            ap(&[PictureResult { detections: vec![], faces: vec![at(0.5)] }], 0.0),
            Some(0.0)
        );
    }
}
