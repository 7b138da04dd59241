//! Calibration: whether a score of 0.7 means that seven detections of ten are faces.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Detections of similar scores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bin {
    /// Scores from this …
    pub from: f64,
    /// … to below this; the last bin holds 1 too.
    pub to: f64,
    /// Detections.
    pub count: usize,
    /// Their mean score; `null` without detections.
    pub mean_score: Option<f64>,
    /// Share of them that are of a face; `null` without detections.
    pub precision: Option<f64>,
}

/// Scores against observed precision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Calibration {
    /// Ten of equal width, lowest scores first.
    pub bins: Vec<Bin>,
    /// Expected calibration error, 0..1: how far mean score and precision of a bin are apart, mean over
    /// all detections; `null` without detections.
    ///
    /// Source: Naeini, Cooper, Hauskrecht: "Obtaining Well Calibrated Probabilities Using Bayesian
    /// Binning", 2015.
    pub expected_error: Option<f64>,
}

const BINS: usize = 10;

/// * `outcomes`: score (0..1) of each detection, and whether it is of a face.
pub fn calibration(outcomes: impl Iterator<Item = (f32, bool)>) -> Calibration {
    let mut sums = [(0usize, 0.0f64, 0usize); BINS]; // count, scores, hits
    for (score, is_hit) in outcomes {
        let bin = &mut sums[((score * BINS as f32) as usize).min(BINS - 1)];
        bin.0 += 1;
        bin.1 += f64::from(score);
        bin.2 += usize::from(is_hit);
    }
    let bins: Vec<Bin> = sums
        .iter()
        .enumerate()
        .map(|(number, &(count, scores, hits))| {
            let mean = |sum: f64| (count > 0).then(|| sum / count as f64);
            let edge = |number: usize| number as f64 / BINS as f64;
            let (from, to) = (edge(number), edge(number + 1));
            Bin { from, to, count, mean_score: mean(scores), precision: mean(hits as f64) }
        })
        .collect();
    let total: usize = bins.iter().map(|bin| bin.count).sum();
    let gap = |bin: &Bin| {
        let gap = (bin.mean_score.unwrap_or_default() - bin.precision.unwrap_or_default()).abs();
        gap * bin.count as f64
    };
    let expected_error = (total > 0).then(|| bins.iter().map(gap).sum::<f64>() / total as f64);
    Calibration { bins, expected_error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_weighted_by_detections() {
        // Bin 0.7..0.8: scores 0.75, three of four right. Bin 0.9..1: score 1, none of one right.
        let outcomes = [(0.75, true), (0.75, true), (0.75, true), (0.75, false), (1.0, false)];
        let Calibration { bins, expected_error } = calibration(outcomes.into_iter());
        assert_eq!(
            (bins[7].count, bins[7].mean_score, bins[7].precision),
            (4, Some(0.75), Some(0.75))
        );
        assert_eq!((bins[9].count, bins[9].precision), (1, Some(0.0)));
        assert_eq!((bins[0].count, bins[0].mean_score), (0, None));
        assert_eq!(expected_error, Some(0.2));
    }

    #[test]
    fn without_detections_there_is_no_error() {
        assert_eq!(calibration(std::iter::empty()).expected_error, None);
    }
}
