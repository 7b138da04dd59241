//! The result of training: the best epoch, mixed with the base model, with calibrated scores, in every format.

use tracing::info;

use super::artifacts::{self, ArtifactSources};
use super::error::RunError;
use super::heartbeat;
use crate::model::device::Device;
use crate::model::tensors::Weights;
use crate::protocol::events::{Finished, Outcome};
use crate::protocol::folder::JobDir;
use crate::protocol::job_spec::JobSpec;
use crate::protocol::metrics::MetricsRow;
use crate::protocol::train_spec::{Init, Retain};
use crate::train::mixing;
use crate::train::score_shift::{self, Shifted};
use crate::train::validation::Validation;
use crate::train::views::pictures::Pictures;

/// A training job after its last epoch.
#[derive(Debug)]
pub struct Ended<'a> {
    /// The job's folder.
    pub dir: &'a JobDir,
    /// The job's spec.
    pub spec: &'a JobSpec,
    /// The data set's pictures.
    pub pictures: &'a Pictures,
    /// One row per epoch, including the base model's.
    pub rows: &'a [MetricsRow],
    /// The weights after the best epoch; the initial weights if there was no epoch.
    pub best: Weights,
    /// The weights after the last epoch; the initial weights if there was no epoch.
    pub last: Weights,
    /// The base model.
    pub base: &'a Weights,
    /// The base model's validation.
    pub baseline: &'a Validation,
    /// The device to measure on.
    pub device: Device,
}

impl Ended<'_> {
    /// Chooses the mix and the shift of the scores, and writes the artifacts. Returns the worker's final event.
    ///
    /// # Errors
    ///
    /// [`RunError`] if a file cannot be read, written or exported.
    pub fn finish(&self, outcome: Outcome) -> Result<Finished, RunError> {
        let params = &self.spec.params;
        // Weights that did not start from the base model cannot be mixed with it.
        let retain = if params.init == Init::Scratch { Retain::Share(0.0) } else { params.retain };
        let (mixing, best, found) = mixing::choose(
            &self.best,
            self.base,
            retain,
            self.pictures,
            params,
            self.baseline,
            self.device,
            &heartbeat::beat,
        )?;
        info!(
            "the result contains {:.0} % of the base model: ap50_ge6 {:.3}",
            mixing.retain * 100.0,
            found.metrics.ap50_ge6.unwrap_or_default()
        );
        let (best, found, score_shift) = if params.calibrate_scores {
            let Shifted { shift, weights, found } = score_shift::shift(
                best,
                found,
                self.base,
                self.baseline,
                self.pictures,
                &params.loss,
                self.device,
                &heartbeat::beat,
            )?;
            info!("shifted the scores by {:+.2} logits: {:?}", shift.logits, shift.reason);
            (weights, found, Some(shift))
        } else {
            (best, found, None)
        };
        let content = ArtifactSources {
            spec: self.spec,
            pictures: self.pictures,
            rows: self.rows,
            mixing: &mixing,
            score_shift: score_shift.as_ref(),
            result: &found.metrics,
            best: &best,
            unmixed: &self.best,
            last: &self.last,
        };
        let artifacts = artifacts::write(self.dir, &content)?;
        Ok(Finished {
            artifacts,
            mixing: Some(mixing),
            score_shift: score_shift.map(Box::new),
            result: Some(Box::new(found.metrics)),
            variant: best.layout().variant,
            ..Finished::without_result(outcome)
        })
    }
}
