//! Measures a model's detections against a data set's annotations.

use std::collections::BTreeMap;
use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::average_precision::{Curve, Operating, PictureResult, Ranking};
use super::calibration::{Calibration, calibration};
use super::difficulty::{DifficultyRow, by_difficulty};
use super::matching::matching;
use crate::data::Difficulty;

/// An evaluation of one model on one data set. Sizes are lengths of a box's longer side, in pixels of the network's
/// input. Figures are 0..1, or `null` if there are no faces to measure them on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Evaluation")]
pub struct EvaluationReport {
    /// Number of pictures.
    pub pictures: usize,
    /// Number of faces in those pictures.
    pub faces: usize,
    /// Number of detections, whatever their score.
    pub detections: usize,
    /// Mean of `average_precision`.
    pub ap50_95: Option<f64>,
    /// Average precision at IoU 0.50, 0.55 … 0.95.
    pub average_precision: Vec<ApAtIou>,
    /// Figures at IoU 0.5 for faces of at least 0, 6, 12 and 24 pixels. Smaller faces are ignored, and false
    /// detections of any size count.
    pub by_min_size: Vec<SizeRow>,
    /// Figures at IoU 0.5 for faces of 6–12, 12–24, 24–48 and at least 48 pixels. Only false detections in the same
    /// range count.
    pub by_size: Vec<SizeRow>,
    /// Figures for WIDER FACE's easy, medium and hard faces; empty if the data set has no difficulties.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_difficulty: Vec<DifficultyRow>,
    /// Figures for each folder of pictures, sorted by name.
    pub by_folder: Vec<FolderRow>,
    /// Precision-recall curve at IoU 0.5, with at most 200 points, best score first.
    pub precision_recall: Vec<Operating>,
    /// Figures at IoU 0.5 and score thresholds 0.02, 0.04 … 0.98.
    pub by_threshold: Vec<Operating>,
    /// Figures at score threshold 0.5, `MediaPipe`'s default.
    pub at_default: Option<Operating>,
    /// Figures at the threshold with the best F1, which is the recommended `min_detection_confidence` for `MediaPipe`.
    pub best: Option<Operating>,
    /// Comparison of scores with observed precision, at IoU 0.5.
    pub calibration: Calibration,
    /// The pictures with the most mistakes at the best threshold, worst first; at most 20.
    pub worst: Vec<WorstPicture>,
}

/// Average precision at one IoU.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApAtIou {
    /// Minimum IoU for a detection to match a face.
    pub iou: f64,
    /// Average precision.
    pub ap: Option<f64>,
}

/// Figures for a range of face sizes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SizeRow {
    /// Lower limit of the size in pixels, inclusive.
    pub from_px: u32,
    /// Upper limit of the size in pixels, exclusive; `null` means no limit.
    pub to_px: Option<u32>,
    /// Number of faces in the range.
    pub faces: usize,
    /// Average precision at IoU 0.5.
    pub ap50: Option<f64>,
    /// Share of the faces that are detected at the best threshold.
    pub recall: Option<f64>,
}

/// Figures for the pictures of one folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FolderRow {
    /// The folder's path; empty for pictures in no folder.
    pub folder: String,
    /// Number of pictures in the folder.
    pub pictures: usize,
    /// Number of faces in those pictures.
    pub faces: usize,
    /// Average precision at IoU 0.5.
    pub ap50: Option<f64>,
    /// Average precision at IoU 0.5 for faces of at least 12 pixels.
    pub ap50_ge12: Option<f64>,
    /// Figures at the whole data set's best threshold.
    pub at_best: Option<Operating>,
}

/// A picture with mistakes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorstPicture {
    /// Index of the picture among the evaluated pictures.
    pub picture: usize,
    /// The picture's path in the data set.
    pub name: String,
    /// Number of faces of at least 12 pixels that were not detected.
    pub missed: usize,
    /// Number of detections that match no face.
    pub false_detections: usize,
}

/// Faces smaller than this, in input pixels, do not count as missed.
pub const MIN_MISSED_PX: f32 = 12.0;
/// Faces smaller than this, in input pixels, are too small for the network.
pub const SEEN_PX: f32 = 6.0;
/// `MediaPipe`'s default for `min_detection_confidence`.
pub const DEFAULT_THRESHOLD: f32 = 0.5;
const MIN_SIZES: [u32; 4] = [0, 6, 12, 24];
const SIZE_EDGES: [u32; 4] = [6, 12, 24, 48];
const CURVE_POINTS: u32 = 200;
const WORST: usize = 20;

impl EvaluationReport {
    /// Evaluates a model's detections.
    ///
    /// * `names`: the pictures' paths in the data set.
    /// * `results`: each picture's faces and detections, in fractions of the network's square.
    /// * `input_size`: side of the square, in pixels.
    pub fn new(names: &[&str], results: &[PictureResult], input_size: f32) -> Self {
        let ranking = Ranking::new(results, input_size);
        // Faces that are too small for the network must not affect the choice of a threshold.
        let (all, seen) = (ranking.curve(0.5, 0.0), ranking.curve(0.5, SEEN_PX));
        let best = seen.best();
        let threshold = best.map_or(DEFAULT_THRESHOLD, |best| best.threshold);
        let average_precision: Vec<ApAtIou> = (0..10u8)
            .map(|step| ApAtIou {
                iou: f64::from(50 + 5 * step) / 100.0,
                ap: ranking.curve(f32::from(step).mul_add(0.05, 0.5), 0.0).average_precision(),
            })
            .collect();
        let aps: Option<Vec<f64>> = average_precision.iter().map(|at| at.ap).collect();
        let by_min_size = MIN_SIZES
            .map(|from| SizeRow::new(&ranking.curve(0.5, from as f32), (from, None), threshold));
        let by_size = size_buckets().map(|(range, edges)| {
            SizeRow::new(&ranking.curve_within(0.5, &range), edges, threshold)
        });
        let by_threshold = (1..=49u8).filter_map(|step| seen.at(f32::from(2 * step) / 100.0));
        Self {
            pictures: results.len(),
            faces: results.iter().map(|result| result.faces.len()).sum(),
            detections: results.iter().map(|result| result.detections.len()).sum(),
            ap50_95: aps.map(|aps| aps.iter().sum::<f64>() / aps.len() as f64),
            average_precision,
            by_min_size: by_min_size.to_vec(),
            by_size: by_size.collect(),
            by_difficulty: Vec::new(),
            by_folder: by_folder(names, results, input_size, threshold),
            precision_recall: all.sampled(CURVE_POINTS),
            by_threshold: by_threshold.collect(),
            at_default: seen.at(DEFAULT_THRESHOLD),
            best,
            calibration: calibration(all.outcomes()),
            worst: worst(names, results, threshold, MIN_MISSED_PX / input_size),
        }
    }

    /// Adds average precision by difficulty.
    ///
    /// * `results`: same as for [`EvaluationReport::new`].
    /// * `difficulties`: the difficulty of each face in each picture. A picture's list is empty if none is known.
    #[must_use]
    pub fn with_difficulties(
        self,
        results: &[PictureResult],
        difficulties: &[&[Option<Difficulty>]],
    ) -> Self {
        Self { by_difficulty: by_difficulty(results, difficulties), ..self }
    }

    /// Returns the best threshold, or the default if there is none.
    pub fn threshold(&self) -> f32 {
        self.best.map_or(DEFAULT_THRESHOLD, |best| best.threshold)
    }
}

impl SizeRow {
    fn new(curve: &Curve, (from_px, to_px): (u32, Option<u32>), threshold: f32) -> Self {
        Self {
            from_px,
            to_px,
            faces: curve.faces() as usize,
            ap50: curve.average_precision(),
            recall: curve.at(threshold).map(|at| at.recall),
        }
    }
}

fn size_buckets() -> impl Iterator<Item = (Range<f32>, (u32, Option<u32>))> {
    let ends = SIZE_EDGES.iter().skip(1).copied().map(Some).chain([None]);
    SIZE_EDGES.iter().zip(ends).map(|(&from, to)| {
        let end = to.map_or(f32::INFINITY, |to| to as f32);
        (from as f32..end, (from, to))
    })
}

fn by_folder(
    names: &[&str],
    results: &[PictureResult],
    input_size: f32,
    threshold: f32,
) -> Vec<FolderRow> {
    let mut folders: BTreeMap<&str, Vec<PictureResult>> = BTreeMap::new();
    for (name, result) in names.iter().zip(results) {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        folders.entry(folder).or_default().push(result.clone());
    }
    let row = |(folder, results): (&str, Vec<PictureResult>)| {
        let ranking = Ranking::new(&results, input_size);
        let all = ranking.curve(0.5, 0.0);
        FolderRow {
            folder: folder.to_owned(),
            pictures: results.len(),
            faces: all.faces() as usize,
            ap50: all.average_precision(),
            ap50_ge12: ranking.curve(0.5, 12.0).average_precision(),
            at_best: all.at(threshold),
        }
    };
    folders.into_iter().map(row).collect()
}

/// Returns the pictures with the most mistakes, worst first.
///
/// * `min_face`: minimum length of a face's longer side, in fractions of the square. Smaller faces are ignored.
fn worst(
    names: &[&str],
    results: &[PictureResult],
    threshold: f32,
    min_face: f32,
) -> Vec<WorstPicture> {
    let pictures = names.iter().zip(results).enumerate().map(|(picture, (name, result))| {
        let mistakes = matching(result, threshold, min_face);
        let (missed, false_detections) = (mistakes.missed.len(), mistakes.false_detections.len());
        WorstPicture { picture, name: (*name).to_owned(), missed, false_detections }
    });
    let mistakes = |picture: &WorstPicture| picture.missed + picture.false_detections;
    let mut pictures: Vec<_> = pictures.filter(|picture| mistakes(picture) > 0).collect();
    // The sort is stable, so ties keep the pictures' order.
    pictures.sort_by_key(|picture| std::cmp::Reverse((mistakes(picture), picture.missed)));
    pictures.truncate(WORST);
    pictures
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Rect;

    fn at(x: f32, side: f32) -> Rect {
        Rect::around(x, 0.5, side, side)
    }

    /// In `a`, a face of 12.8 px is found and one of 25.6 px missed; in `b`, one detection is false.
    fn report() -> EvaluationReport {
        let faces = vec![at(0.2, 0.1), at(0.8, 0.2)];
        let first = PictureResult { detections: vec![(at(0.2, 0.1), 0.9)], faces };
        let second = PictureResult { detections: vec![(at(0.5, 0.3), 0.95)], faces: vec![] };
        EvaluationReport::new(&["a/1.jpg", "b/c/2.jpg"], &[first, second], 128.0)
    }

    #[test]
    fn figures_are_split_by_size_and_folder() {
        let report = report();
        assert_eq!((report.pictures, report.faces, report.detections), (2, 2, 2));
        assert_eq!(report.average_precision.len(), 10);
        assert_eq!((report.average_precision[9].iou, report.ap50_95), (0.95, Some(0.25)));
        let aps: Vec<_> = report.by_min_size.iter().map(|row| row.ap50).collect();
        assert_eq!(aps, [Some(0.25), Some(0.25), Some(0.25), Some(0.0)]);
        let sizes: Vec<_> = report.by_size.iter().map(|row| (row.from_px, row.faces)).collect();
        assert_eq!(sizes, [(6, 0), (12, 1), (24, 1), (48, 0)]);
        assert_eq!((report.by_size[1].ap50, report.by_size[1].recall), (Some(1.0), Some(1.0)));
        assert_eq!(report.by_size[2].ap50, Some(0.0));
        let folders: Vec<_> =
            report.by_folder.iter().map(|row| (row.folder.as_str(), row.ap50)).collect();
        assert_eq!(folders, [("a", Some(0.5)), ("b/c", None)]);
    }

    #[test]
    fn a_report_has_the_best_threshold_and_the_worst_pictures() {
        let report = report();
        let best = report.best.unwrap();
        assert_eq!((best.threshold, best.f1), (0.9, 0.5));
        assert_eq!(report.by_threshold.len(), 49);
        assert_eq!(report.by_threshold[24].threshold, DEFAULT_THRESHOLD);
        let worst: Vec<_> = report
            .worst
            .iter()
            .map(|picture| (picture.picture, picture.missed, picture.false_detections))
            .collect();
        assert_eq!(worst, [(0, 1, 0), (1, 0, 1)]);
    }

    #[test]
    fn a_report_survives_json_and_does_not_need_faces() {
        let back: EvaluationReport =
            serde_json::from_str(&serde_json::to_string(&report()).unwrap()).unwrap();
        assert_eq!(back, report());
        let empty = EvaluationReport::new(&["1.jpg"], &[PictureResult::default()], 128.0);
        assert_eq!((empty.ap50_95, empty.best, empty.by_threshold.len()), (None, None, 0));
        assert_eq!(empty.threshold(), DEFAULT_THRESHOLD);
    }
}
