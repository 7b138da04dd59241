//! Shifts a result's scores so that 0.5, `MediaPipe`'s default, is the threshold to use.
//!
//! A fine-tuned network scores lower than the base model, so at 0.5 it would miss faces that it knows. A shift of every
//! logit by the same amount keeps their order, so average precision stays the same but for what suppression makes of
//! the new scores.

use rayon::prelude::*;

use super::validation::{BATCH, Validation, results, validate};
use super::views::pictures::Pictures;
use crate::eval::average_precision::{Operating, Ranking};
use crate::eval::detect;
use crate::eval::report::{DEFAULT_THRESHOLD, SEEN_PX};
use crate::eval::suppression::{Detection, suppress};
use crate::model::anchors;
use crate::model::device::{Device, NeedsTorch};
use crate::model::layout::INPUT_SIZE;
use crate::model::runner::Runner;
use crate::model::tensors::Weights;
use crate::protocol::score_shift::{FiguresAtDefault, ScoreShift, ShiftFigures, ShiftReason};
use crate::protocol::train_spec::Loss;

/// The lowest and the highest shift, in logits. They make 0.5 of scores from 0.88 down to 0.05.
const RANGE: [f64; 2] = [-2.0, 3.0];
/// Distance between the shifts that are tried.
const STEP: f64 = 0.05;
/// Detections below this score cannot reach 0.5 with the highest shift, 3.
const MIN_SCORE: f32 = 0.047;
/// A shift may cost this much of the best F1 if it finds more large faces.
const TOLERANCE: f64 = 0.01;
/// The F1 of a shift is averaged over its neighbours within this many steps, with weights that fall linearly. A single
/// F1 is noisy, and the best of many is best by chance.
const NEIGHBOURS: usize = 4;
/// With fewer faces, a shift could make things worse: see docs/weights.md.
const MIN_FACES: u32 = 30;
/// Faces that everyone expects to be found: length of the longer side, in pixels.
const LARGE_PX: f32 = 24.0;

/// Weights with shifted scores.
#[derive(Debug)]
pub struct Shifted {
    /// The shift, and why.
    pub shift: ScoreShift,
    /// The weights to deliver.
    pub weights: Weights,
    /// Their validation.
    pub found: Validation,
}

/// Chooses a shift for `weights` on the validation pictures, applies it and measures the result.
///
/// * `found`: the validation of `weights`; `baseline`: that of the base model; `beat`: called before every batch.
///
/// # Errors
///
/// [`NeedsTorch`] in a build without libtorch, if the native engine cannot run the network on the device.
#[expect(clippy::too_many_arguments, reason = "the arguments are unrelated")]
pub fn shift(
    weights: Weights,
    found: Validation,
    base: &Weights,
    baseline: &Validation,
    pictures: &Pictures,
    loss: &Loss,
    device: Device,
    beat: &dyn Fn(),
) -> Result<Shifted, NeedsTorch> {
    let shift = choose(&weights, base, pictures, device, beat)?;
    if shift.logits == 0.0 {
        return Ok(Shifted { shift, weights, found });
    }
    let weights = weights.with_scores_shifted(shift.logits as f32);
    let runner = Runner::new(&weights, device)?;
    let found = validate(&runner, pictures, loss, Some(&baseline.detections), beat);
    Ok(Shifted { shift, weights, found })
}

fn choose(
    weights: &Weights,
    base: &Weights,
    pictures: &Pictures,
    device: Device,
    beat: &dyn Fn(),
) -> Result<ScoreShift, NeedsTorch> {
    if weights == base {
        return Ok(ScoreShift::none(ShiftReason::Unchanged));
    }
    let unshifted = |weights: &Weights| {
        let candidates = candidates(&Runner::new(weights, device)?, pictures, beat);
        Ok((at_default(pictures, &candidates, 0.0), candidates))
    };
    let (before, candidates) = unshifted(weights)?;
    if before.faces < MIN_FACES {
        return Ok(ScoreShift::none(ShiftReason::TooFewFaces));
    }
    let (base, _) = unshifted(base)?;
    let tried: Vec<AtDefault> = shifts()
        .map(|logits| {
            beat();
            at_default(pictures, &candidates, logits)
        })
        .collect();
    let Some((at, reason)) = pick(&tried, base.large_found) else {
        return Ok(ScoreShift::none(ShiftReason::FindsNothing));
    };
    let best_f1 = tried.iter().map(|tried| tried.seen.f1).fold(0.0, f64::max);
    let [base, before, after] = [&base, &before, &tried[at]].map(AtDefault::figures);
    let figures = Some(ShiftFigures { base, before, after, best_f1 });
    Ok(ScoreShift { logits: tried[at].logits, reason, figures })
}

fn shifts() -> impl Iterator<Item = f64> {
    let count = ((RANGE[1] - RANGE[0]) / STEP).round() as u32;
    // Rounds so that reports show 0.65 instead of 0.6500000000000004.
    (0..=count).map(|step| (f64::from(step).mul_add(STEP, RANGE[0]) * 1000.0).round() / 1000.0)
}

/// Returns each validation picture's detections before suppression that some shift raises to 0.5.
fn candidates(runner: &Runner, pictures: &Pictures, beat: &dyn Fn()) -> Vec<Vec<Detection>> {
    let (centres, size) = (anchors::centres(), runner.input_size());
    let batch = |indices: &[usize]| {
        beat();
        let outputs = runner.run(&pictures.inputs_of(size, indices));
        detect::candidates(&outputs, size, &centres, MIN_SCORE)
    };
    pictures.val.chunks(BATCH).flat_map(batch).collect()
}

/// What a shift makes of a network at a threshold of 0.5.
#[derive(Debug, Clone, Copy)]
struct AtDefault {
    logits: f64,
    /// Number of faces of at least 6 pixels.
    faces: u32,
    /// Figures for these faces.
    seen: Operating,
    /// Number of faces of at least 24 pixels, and how many of them were found.
    large: u32,
    large_found: u32,
}

impl AtDefault {
    fn figures(&self) -> FiguresAtDefault {
        let Operating { precision, recall, f1, .. } = self.seen;
        let share = f64::from(self.large_found) / f64::from(self.large);
        let recall_ge24 = (self.large > 0).then_some(share);
        FiguresAtDefault { precision, recall, f1, recall_ge24 }
    }
}

fn at_default(pictures: &Pictures, candidates: &[Vec<Detection>], logits: f64) -> AtDefault {
    // Only detections with the minimum score take part in suppression, so each shift has other boxes.
    let faces = |candidates: &Vec<Detection>| suppress(shifted(candidates, logits as f32));
    let found: Vec<Vec<Detection>> = candidates.par_iter().map(faces).collect();
    let ranking = Ranking::new(&results(pictures, &found), INPUT_SIZE as f32);
    let (seen, large) = (ranking.curve(0.5, SEEN_PX), ranking.curve(0.5, LARGE_PX));
    let none = Operating { threshold: DEFAULT_THRESHOLD, precision: 0.0, recall: 0.0, f1: 0.0 };
    AtDefault {
        logits,
        faces: seen.faces(),
        seen: seen.at(DEFAULT_THRESHOLD).unwrap_or(none),
        large: large.faces(),
        large_found: large.outcomes().filter(|(_, is_hit)| *is_hit).count() as u32,
    }
}

/// Returns the detections that have a score of at least 0.5 after the shift, with these scores.
fn shifted(candidates: &[Detection], logits: f32) -> Vec<Detection> {
    let odds = (-logits).exp();
    let shift = |face: &Detection| {
        // The sigmoid of the shifted logit, in terms of the sigmoid of the logit.
        let score = face.score / (face.score + (1.0 - face.score) * odds);
        (score >= DEFAULT_THRESHOLD).then_some(Detection { score, ..*face })
    };
    candidates.iter().filter_map(shift).collect()
}

/// Chooses among shifts in ascending order. Among those whose F1 is within [`TOLERANCE`] of the best and that find at
/// least `needed` large faces, the one with the best smoothed F1 wins. If there is none, the one that finds most large
/// faces wins among those within the tolerance. Returns `None` if nothing is found with any shift.
fn pick(tried: &[AtDefault], needed: u32) -> Option<(usize, ShiftReason)> {
    let f1: Vec<f64> = tried.iter().map(|tried| tried.seen.f1).collect();
    let best = f1.iter().copied().fold(0.0, f64::max);
    if best == 0.0 {
        return None;
    }
    let smooth = smoothed(&f1);
    let near: Vec<usize> = (0..f1.len()).filter(|&at| f1[at] >= best - TOLERANCE).collect();
    let keeping = near.iter().copied().filter(|&at| tried[at].large_found >= needed);
    if let Some(at) = keeping.max_by(|&a, &b| smooth[a].total_cmp(&smooth[b])) {
        return Some((at, ShiftReason::KeepsLargeFaces));
    }
    let most = near.into_iter().max_by(|&a, &b| {
        let found = tried[a].large_found.cmp(&tried[b].large_found);
        found.then(smooth[a].total_cmp(&smooth[b]))
    });
    most.map(|at| (at, ShiftReason::LosesLargeFaces))
}

/// Averages each value with its neighbours; beyond the ends, the last value continues.
fn smoothed(values: &[f64]) -> Vec<f64> {
    let reach = NEIGHBOURS as isize;
    let at = |index: isize| values[index.clamp(0, values.len() as isize - 1) as usize];
    let mean = |centre: isize| {
        let weight = |offset: isize| (reach + 1 - offset.abs()) as f64;
        let offsets = -reach..=reach;
        let sum: f64 = offsets.clone().map(|offset| weight(offset) * at(centre + offset)).sum();
        sum / offsets.map(weight).sum::<f64>()
    };
    (0..values.len() as isize).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Rect;

    /// Shifts with these F1s and numbers of large faces found.
    fn tried(points: &[(f64, u32)]) -> Vec<AtDefault> {
        let point = |&(f1, large_found): &(f64, u32)| {
            let seen = Operating { threshold: 0.5, precision: 0.0, recall: 0.0, f1 };
            AtDefault { logits: 0.0, faces: 100, seen, large: 100, large_found }
        };
        points.iter().map(point).collect()
    }

    #[test]
    fn among_shifts_that_keep_large_faces_the_best_f1_wins() {
        let tried = tried(&[(0.4, 50), (0.595, 60), (0.6, 60), (0.595, 61), (0.4, 62)]);
        assert_eq!(pick(&tried, 60), Some((2, ShiftReason::KeepsLargeFaces)));
        assert_eq!(pick(&tried, 61), Some((3, ShiftReason::KeepsLargeFaces)));
    }

    #[test]
    fn if_no_shift_near_the_best_f1_keeps_large_faces_the_one_that_finds_most_wins() {
        let tried = tried(&[(0.595, 60), (0.6, 60), (0.595, 61), (0.5, 70)]);
        assert_eq!(pick(&tried, 65), Some((2, ShiftReason::LosesLargeFaces)));
    }

    #[test]
    fn a_lucky_f1_far_from_the_others_does_not_win() {
        let mut points = vec![(0.5, 9); 40];
        points[3].0 = 0.601;
        for point in &mut points[20..30] {
            point.0 = 0.6;
        }
        let (at, _) = pick(&tried(&points), 0).unwrap();
        assert!((22..28).contains(&at), "{at}");
    }

    #[test]
    fn a_model_that_finds_nothing_gets_no_shift() {
        assert_eq!(pick(&tried(&[(0.0, 0), (0.0, 0)]), 0), None);
    }

    #[test]
    fn the_shifts_include_zero_and_both_ends() {
        let shifts: Vec<f64> = shifts().collect();
        assert_eq!((shifts[0], shifts[40], shifts[100], shifts.len()), (-2.0, 0.0, 3.0, 101));
        let lowest = detect::sigmoid(-RANGE[1] as f32);
        assert!(MIN_SCORE < lowest && lowest < MIN_SCORE + 0.001, "{lowest}");
    }

    #[test]
    fn a_shifted_score_is_the_sigmoid_of_the_shifted_logit() {
        let face = |score| Detection { rect: Rect::default(), score, keypoints: [[0.0; 2]; 6] };
        for (logit, shift) in [(-0.6f32, 0.7f32), (2.0, -1.5), (-2.9, 3.0), (100.0, -2.0)] {
            let found = shifted(&[face(detect::sigmoid(logit))], shift);
            let gap = (found[0].score - detect::sigmoid(logit + shift)).abs();
            assert!(gap < 1e-5, "{logit} + {shift}: {gap}");
        }
        assert!(shifted(&[face(0.49)], 0.0).is_empty() && shifted(&[face(0.6)], -0.5).is_empty());
        assert_eq!(shifted(&[face(0.5)], 0.0)[0].score, 0.5);
    }
}
