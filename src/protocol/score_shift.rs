//! How the scores of a result were shifted, and why.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A shift of a model's scores, and what it changes at a score threshold of 0.5, `MediaPipe`'s default.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScoreShift {
    /// Added to every logit of the delivered weights; 0 leaves the scores as they were.
    pub logits: f64,
    /// Why this shift was chosen.
    pub reason: ShiftReason,
    /// Figures at a threshold of 0.5 on the validation pictures; `null` if no shift was looked for.
    pub figures: Option<ShiftFigures>,
}

impl ScoreShift {
    /// The threshold for which shifted scores are made.
    pub const THRESHOLD: f64 = 0.5;

    /// Creates the record of scores that stay as they are.
    pub fn none(reason: ShiftReason) -> Self {
        Self { logits: 0.0, reason, figures: None }
    }

    /// Returns the recommended `min_detection_confidence` of the delivered weights.
    ///
    /// * `best`: the threshold with the best F1 on the validation pictures.
    pub fn recommended(shift: Option<&Self>, best: Option<f64>) -> Option<f64> {
        let is_chosen = shift.is_some_and(|shift| shift.figures.is_some());
        if is_chosen { Some(Self::THRESHOLD) } else { best }
    }
}

impl ScoreShift {
    /// Returns what the shift changes, or why there is none, as a sentence for people.
    pub fn sentence(&self) -> String {
        let percent = |share: f64| format!("{:.0} %", share * 100.0);
        let Some(ShiftFigures { base, before, after, .. }) = self.figures else {
            let why = match self.reason {
                ShiftReason::TooFewFaces => "the validation pictures have too few faces",
                ShiftReason::FindsNothing => "the model finds no face, whatever the threshold",
                _ => "the weights are the base model's",
            };
            return format!("The scores were not shifted, because {why}.");
        };
        let mut text = format!(
            "Every logit was shifted by {:+.2}, so that 0.5 is the threshold to use: there, F1 for \
             faces of at least 6 pixels is {:.3} instead of {:.3}",
            self.logits, after.f1, before.f1
        );
        if let (Some(base), Some(before), Some(after)) =
            (base.recall_ge24, before.recall_ge24, after.recall_ge24)
        {
            let (base, before, after) = (percent(base), percent(before), percent(after));
            let _ = write!(
                text,
                ", and {after} of the faces of at least 24 pixels are found instead of {before} \
                 (base model: {base})"
            ); // Writing to a string cannot fail.
        }
        text.push('.');
        if self.reason == ShiftReason::LosesLargeFaces {
            text += " No shift with about the best F1 finds as many of them as the base model does; a \
                     lower threshold finds more.";
        }
        text
    }
}

/// Why a shift was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShiftReason {
    /// At 0.5, the F1 is within 0.01 of the best over all thresholds, and the model finds at least as many faces of 24
    /// pixels or more as the base model.
    KeepsLargeFaces,
    /// Every threshold whose F1 is within 0.01 of the best finds fewer faces of 24 pixels or more than the base model
    /// at 0.5. This shift finds the most of them.
    LosesLargeFaces,
    /// No shift: too few validation faces are large enough for the network.
    TooFewFaces,
    /// No shift: the model finds no face, whatever the threshold.
    FindsNothing,
    /// No shift: the weights are the base model's.
    Unchanged,
}

/// Figures with and without a shift, at a threshold of 0.5.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShiftFigures {
    /// The base model.
    pub base: FiguresAtDefault,
    /// The result before the shift.
    pub before: FiguresAtDefault,
    /// The result as delivered.
    pub after: FiguresAtDefault,
    /// The best F1 of any shift.
    pub best_f1: f64,
}

/// A model's figures at a threshold of 0.5, with suppression as `MediaPipe` does it at this threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FiguresAtDefault {
    /// Share of the detections that are faces. Faces under 6 pixels of the 128-pixel input are ignored.
    pub precision: f64,
    /// Share of the faces of at least 6 pixels that are detected.
    pub recall: f64,
    /// Harmonic mean of `precision` and `recall`.
    pub f1: f64,
    /// Share of the faces of at least 24 pixels that are detected; `null` without such faces.
    pub recall_ge24: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_says_what_changes_what_is_lost_or_why_there_is_no_shift() {
        let at = |f1, recall| FiguresAtDefault {
            precision: 0.8,
            recall: 0.5,
            f1,
            recall_ge24: Some(recall),
        };
        let (base, before, after) = (at(0.31, 0.93), at(0.44, 0.86), at(0.6, 0.92));
        let figures = Some(ShiftFigures { base, before, after, best_f1: 0.6 });
        let shift = ScoreShift { logits: 0.65, reason: ShiftReason::LosesLargeFaces, figures };
        assert_eq!(
            shift.sentence(),
            "Every logit was shifted by +0.65, so that 0.5 is the threshold to use: there, F1 for \
             faces of at least 6 pixels is 0.600 instead of 0.440, and 92 % of the faces of at \
             least 24 pixels are found instead of 86 % (base model: 93 %). No shift with about the \
             best F1 finds as many of them as the base model does; a lower threshold finds more."
        );
        assert_eq!(
            ScoreShift::none(ShiftReason::TooFewFaces).sentence(),
            "The scores were not shifted, because the validation pictures have too few faces."
        );
    }

    #[test]
    fn half_is_recommended_only_if_a_shift_was_measured() {
        let none = ScoreShift::none(ShiftReason::TooFewFaces);
        assert_eq!(ScoreShift::recommended(Some(&none), Some(0.36)), Some(0.36));
        assert_eq!(ScoreShift::recommended(None, None), None);
    }
}
