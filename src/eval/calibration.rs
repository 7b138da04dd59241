//! Calibration: whether a score of 0.7 means that seven of ten detections are faces.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Detections with similar scores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bin {
    /// Lower limit of the scores, inclusive.
    pub from: f64,
    /// Upper limit of the scores, exclusive; the last bin includes 1.
    pub to: f64,
    /// Number of detections.
    pub count: usize,
    /// Mean score of the detections; `null` without detections.
    pub mean_score: Option<f64>,
    /// Share of the detections that match a face; `null` without detections.
    pub precision: Option<f64>,
}

/// Comparison of scores with observed precision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Calibration {
    /// Ten bins of equal width, lowest scores first.
    pub bins: Vec<Bin>,
    /// Expected calibration error, 0..1: the difference between each bin's mean score and precision, averaged over all
    /// detections; `null` without detections.
    ///
    /// Source: Naeini, Cooper, Hauskrecht: "Obtaining Well Calibrated Probabilities Using Bayesian
    /// Binning", 2015.
    pub expected_error: Option<f64>,
}

const BINS: usize = 10;

/// Compares scores with observed precision.
///
/// * `outcomes`: each detection's score (0..1), and whether it matches a face.
pub fn calibration(outcomes: impl Iterator<Item = (f32, bool)>) -> Calibration {
    let mut sums = [(0usize, 0.0f64, 0usize); BINS]; // count, sum of scores, hits
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
        // Bin 0.7..0.8 has four scores of 0.75, three of them correct. Bin 0.9..1 has one score of 1, which is wrong.
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
    fn the_error_is_undefined_without_detections() {
        assert_eq!(calibration(std::iter::empty()).expected_error, None);
    }
}
