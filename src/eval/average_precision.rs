//! Average precision, and precision and recall against the score.

use crate::geometry::Rect;

/// What was found in one picture and what is there, in the network's square.
#[derive(Debug, Clone, Default)]
pub struct PictureResult {
    /// Boxes and scores, in any order.
    pub detections: Vec<(Rect, f32)>,
    /// The annotated faces.
    pub faces: Vec<Rect>,
}

/// All pictures' detections in one ranking, with the faces each could be of.
#[derive(Debug)]
pub struct Ranking {
    /// Best score first: score, picture, and `(face, IoU)` with an IoU of at least 0.5, best first.
    detections: Vec<(f32, Vec<(usize, f32)>)>,
    /// Length of each face's longer side, in pixels of the input.
    sizes: Vec<f32>,
}

/// One detection after another, best score first.
#[derive(Debug, Clone, Default)]
pub struct Curve {
    /// Score, true positives and false positives down to it.
    points: Vec<(f32, u32, u32)>,
    /// Faces that count.
    faces: u32,
}

/// Precision, recall and F1 at one score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Operating {
    /// Detections of at least this score count.
    pub threshold: f32,
    /// Share of the detections that are of a face.
    pub precision: f64,
    /// Share of the faces that are found.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
}

/// The lowest IoU that any measure here asks for.
const MIN_IOU: f32 = 0.5;

impl Ranking {
    /// * `input_size`: pixels of the square that `results` are fractions of.
    pub fn new(results: &[PictureResult], input_size: f32) -> Self {
        let mut detections = Vec::new();
        let mut sizes = Vec::new();
        for result in results {
            for (rect, score) in &result.detections {
                let overlap = |(face, other): (usize, &Rect)| (sizes.len() + face, rect.iou(other));
                let mut candidates: Vec<_> = result.faces.iter().enumerate().map(overlap).collect();
                candidates.retain(|&(_, iou)| iou >= MIN_IOU);
                candidates.sort_by(|a, b| b.1.total_cmp(&a.1));
                detections.push((*score, candidates));
            }
            sizes.extend(
                result.faces.iter().map(|face| face.width().max(face.height()) * input_size),
            );
        }
        detections.sort_by(|a, b| b.0.total_cmp(&a.0)); // Stable: ties keep the pictures' order.
        Self { detections, sizes }
    }

    /// Walks down the ranking. A detection takes the free face it overlaps most, if by `min_iou`;
    /// each face is taken once. Faces under `min_size` pixels are ignored: taking one is neither
    /// hit nor miss.
    pub fn curve(&self, min_iou: f32, min_size: f32) -> Curve {
        let counts = |face: usize| self.sizes[face] >= min_size;
        let mut taken = vec![false; self.sizes.len()];
        let (mut hits, mut misses) = (0, 0);
        let mut points = Vec::with_capacity(self.detections.len());
        for (score, candidates) in &self.detections {
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
                None => misses += 1,
            }
            points.push((*score, hits, misses));
        }
        let faces = (0..self.sizes.len()).filter(|&face| counts(face)).count() as u32;
        Curve { points, faces }
    }
}

impl Curve {
    /// Area under precision over recall, all points, precision made to fall. `None` without faces.
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

    /// At one score. `None` without faces.
    pub fn at(&self, threshold: f32) -> Option<Operating> {
        let below = self.points.partition_point(|&(score, _, _)| score >= threshold);
        let (hits, misses) = match below.checked_sub(1) {
            Some(last) => (self.points[last].1, self.points[last].2),
            None => (0, 0),
        };
        (self.faces > 0).then(|| self.operating(threshold, hits, misses))
    }

    /// Where F1 is best. `None` without faces or detections.
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
    fn finding_every_face_and_nothing_else_is_one() {
        let faces = vec![at(0.2), at(0.8)];
        let detections = vec![(at(0.2), 0.9), (at(0.8), 0.3)];
        assert_eq!(ap(&[PictureResult { detections, faces }], 0.0), Some(1.0));
    }

    #[test]
    fn a_second_detection_of_a_face_is_false() {
        // Ranked: hit, miss, hit; precision 1, 1/2, 2/3; area 1/2 × 1 + 1/2 × 2/3.
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
    fn faces_under_the_size_are_neither_hit_nor_miss() {
        let small = Rect::around(0.8, 0.5, 0.02, 0.02);
        let faces = vec![at(0.2), small];
        let found = PictureResult { detections: vec![(small, 0.9), (at(0.2), 0.5)], faces };
        assert_eq!(ap(&[found], 6.0), Some(1.0));
        let lost = PictureResult { detections: vec![(at(0.2), 0.5)], faces: vec![at(0.2), small] };
        assert_eq!(ap(std::slice::from_ref(&lost), 6.0), Some(1.0));
        assert_eq!(ap(&[lost], 0.0), Some(0.5));
    }

    #[test]
    fn there_is_nothing_to_measure_without_faces() {
        let result = PictureResult { detections: vec![(at(0.5), 0.9)], faces: vec![] };
        assert_eq!(ap(&[result], 0.0), None);
        assert_eq!(
            ap(&[PictureResult { detections: vec![], faces: vec![at(0.5)] }], 0.0),
            Some(0.0)
        );
    }
}
