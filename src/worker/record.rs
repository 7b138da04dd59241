//! Records each epoch: its row of metrics, the best and the last weights, and sample detections.

use tracing::info;

use super::error::RunError;
use super::faults::Point;
use super::train::TrainingJob;
use super::{heartbeat, samples, sheets, tensorboard};
use crate::disk;
use crate::model::runner::Runner;
use crate::model::tensors::Weights;
use crate::protocol::events::{Body, Samples};
use crate::protocol::metrics::MetricsRow;
use crate::time::now;
use crate::train::trainer::EpochReport;
use crate::train::validation::{Validation, validate};

impl TrainingJob<'_> {
    /// Reports what an earlier worker could not report because it crashed. In a new job, reports the base model's row.
    pub(super) fn catch_up(&mut self) -> Result<(), RunError> {
        if self.state.rows.is_empty() {
            let row = MetricsRow {
                epoch: 0,
                step: 0,
                time: now(),
                lr: 0.0,
                images_per_s: 0.0,
                seconds: 0.0,
                is_best: false,
                train: None,
                diagnostics: None,
                val: self.baseline.metrics,
            };
            self.state.rows.push(row);
        }
        let folder = self.dir.artifacts();
        std::fs::create_dir_all(&folder)?;
        std::fs::create_dir_all(self.dir.checkpoints())?;
        for folder in [&folder, &self.dir.checkpoints()] {
            disk::remove_leftovers(folder)?;
        }
        tensorboard::rewrite(&folder, &self.state.rows)?;
        let written = sheets::written(&folder, &self.state.rows)?;
        self.events.append(Body::Artifacts(written))?;
        for row in self.state.rows.clone() {
            if !self.events.has_epoch(row.epoch) {
                self.events.append(Body::Epoch(Box::new(row)))?;
            }
        }
        if self.state.epoch == 0 {
            let found = &self.baseline.detections;
            let pictures = samples::pictures(self.pictures, found, found);
            self.events.append(Body::Sample(Samples { epoch: 0, pictures }))?;
        }
        Ok(())
    }

    /// Validates, saves and then reports, so that everything that is reported is already on disk.
    ///
    /// An unfinished epoch is measured only for the result. Its row is not saved in the checkpoint, which stays in the
    /// middle of the epoch, so that an extended job can finish the epoch.
    pub(super) fn record(&mut self, epoch: u32, is_whole: bool) -> Result<(), RunError> {
        let report = self.trainer.report(epoch)?;
        let layout = self.kept.last.layout();
        // Fails if the weights are not finite.
        let weights = Weights::from_flat(layout, &self.trainer.averaged())?;
        let runner = Runner::new(&weights, self.device)?;
        let reference = Some(&self.baseline.detections[..]);
        let loss = &self.spec.params.loss;
        let found = validate(&runner, self.pictures, loss, reference, &heartbeat::beat);
        let row = self.row(epoch, &report, &found)?;
        self.state.rows.push(row.clone());
        if row.is_best {
            self.kept.best = weights.clone();
        }
        self.kept.last = weights;
        if is_whole {
            self.state.epoch = epoch;
            self.trainer.end_epoch();
            self.save()?;
        }
        info!(
            "epoch {epoch}: loss {:.3}, ap50 {:.3}, ap50_ge6 {:.3}{}",
            report.train.loss,
            row.val.ap50.unwrap_or_default(),
            row.val.ap50_ge6.unwrap_or_default(),
            if row.is_best { ", the best so far" } else { "" }
        );
        self.faults.meet(Point::Row, u64::from(epoch))?;
        self.publish(row, &found)
    }

    fn row(
        &mut self,
        epoch: u32,
        report: &EpochReport,
        found: &Validation,
    ) -> Result<MetricsRow, RunError> {
        let monitor = self.spec.params.monitor;
        let trained = self.state.rows.iter().filter(|row| row.epoch > 0);
        let is_best = trained
            .map(|row| row.val.monitored(monitor))
            .all(|before| before < found.metrics.monitored(monitor));
        let mut diagnostics = self.trainer.diagnostics();
        diagnostics.sample_views =
            sheets::save_views(&self.dir.artifacts(), epoch, &mut self.trainer)?;
        Ok(MetricsRow {
            epoch,
            step: self.trainer.steps(),
            time: now(),
            lr: report.lr,
            images_per_s: report.images_per_s,
            seconds: self.epoch_seconds(),
            is_best,
            train: Some(report.train),
            diagnostics: Some(diagnostics),
            val: found.metrics,
        })
    }

    fn publish(&mut self, row: MetricsRow, found: &Validation) -> Result<(), RunError> {
        if self.events.has_epoch(row.epoch) {
            // An earlier worker reported this epoch, but its checkpoint lacked the epoch or was damaged.
            return Ok(());
        }
        let (epoch, artifacts) = (row.epoch, self.dir.artifacts());
        // Written before the row is reported, so that a client that sees the row finds the files that the row names.
        tensorboard::append(&artifacts, &row)?;
        let written = sheets::written(&artifacts, std::slice::from_ref(&row))?;
        self.events.append(Body::Artifacts(written))?;
        self.events.append(Body::Epoch(Box::new(row)))?;
        let pictures =
            samples::pictures(self.pictures, &self.baseline.detections, &found.detections);
        self.events.append(Body::Sample(Samples { epoch, pictures }))?;
        Ok(())
    }
}
