//! An evaluation job, from its `spec.json` to its report.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tracing::info;

use super::error::EvaluationError;
use super::error::RunError;
use super::heartbeat;
use super::report::{self, ReportSources};
use crate::data::ImportedDataset;
use crate::model::tensors::Weights;
use crate::protocol::control::Command;
use crate::protocol::evaluate_spec::{EvaluationSpec, NamedModel};
use crate::protocol::events::{Body, Finished, Measured, Outcome, Started};
use crate::protocol::folder::JobDir;
use crate::protocol::log::EventLog;
use crate::train::device;
use crate::train::evaluation::evaluate;
use crate::train::views::pictures::Pictures;
use crate::weights;
use crate::weights::tflite;

/// Minimum time between two progress reports.
const REPORT_EVERY: Duration = Duration::from_millis(500);

/// Measures the models and writes the report. A paused evaluation starts over when it resumes.
///
/// # Errors
///
/// [`RunError`] if the weights, the data set or the job's folder cannot be used.
pub fn run(
    dir: &JobDir,
    spec: &EvaluationSpec,
    events: &mut EventLog,
) -> Result<Finished, RunError> {
    let device = device::choose(spec.device)?;
    let models = spec.models.iter().map(load).collect::<Result<Vec<_>, _>>()?;
    let dataset =
        ImportedDataset::open(&spec.dataset_dir).map_err(|error| RunError::Data(error.into()))?;
    let mut pictures =
        Pictures::open(&spec.dataset_dir).map_err(|error| RunError::Data(error.into()))?;
    pictures.select(spec.split);
    if pictures.val.is_empty() {
        return Err(EvaluationError::NoPictures(spec.split).into());
    }
    let total = (models.len() * pictures.val.len()) as u32;
    let device_name = device.to_string();
    info!(
        "measuring {} models on {} pictures, using {device_name}",
        models.len(),
        pictures.val.len()
    );
    let started = Started {
        device: device_name,
        resumed_at_epoch: 0,
        resumed_at_step: 0,
        epochs: 0,
        steps: total,
        views_per_step: None,
    };
    events.append(Body::Started(started))?;

    let mut reporter = Reporter::new(dir, events, total);
    let evaluations =
        evaluate(models, &pictures, device, &mut |done| reporter.proceed(done as u32));
    reporter.failed.map_or(Ok(()), Err)?;
    let Some(evaluations) = evaluations? else {
        return Ok(Finished::without_result(reporter.outcome));
    };
    let content = ReportSources {
        dataset_name: &spec.dataset,
        split: spec.split,
        dataset: &dataset,
        pictures: &pictures,
        evaluations: &evaluations,
    };
    let artifacts = report::write(&dir.artifacts(), &content, &flat_name)?;
    let outcome = Outcome::Completed;
    Ok(Finished { artifacts, ..Finished::without_result(outcome) })
}

fn load(model: &NamedModel) -> Result<(String, Weights), EvaluationError> {
    let name = model.name.clone();
    let Some(file) = &model.file else { return Ok((name, tflite::mediapipe().clone())) };
    let failed = |source| EvaluationError::Weights { name: model.name.clone(), source };
    let bytes = std::fs::read(file).map_err(|error| failed(error.into()))?;
    let weights = weights::load(&bytes).map_err(|error| failed(error.into()))?;
    Ok((name, weights))
}

/// Returns the file name of a drawing. Artifacts cannot be in subfolders.
fn flat_name(suffix: &str, place: usize, _picture: &str) -> String {
    format!("worst{suffix}_{place:02}.jpg")
}

/// Reports progress and follows commands.
struct Reporter<'a> {
    dir: &'a JobDir,
    events: &'a mut EventLog,
    total: u32,
    began: Instant,
    reported: Instant,
    /// How the job ends if it is interrupted.
    outcome: Outcome,
    failed: Option<std::io::Error>,
}

impl<'a> Reporter<'a> {
    fn new(dir: &'a JobDir, events: &'a mut EventLog, total: u32) -> Self {
        let now = Instant::now();
        let outcome = Outcome::Cancelled;
        Self { dir, events, total, began: now, reported: now, outcome, failed: None }
    }

    fn proceed(&mut self, pictures: u32) -> ControlFlow<()> {
        heartbeat::beat();
        if self.reported.elapsed() >= REPORT_EVERY {
            self.reported = Instant::now();
            let images_per_s = f64::from(pictures) / self.began.elapsed().as_secs_f64();
            let eta_s = f64::from(self.total - pictures) / images_per_s;
            let measured = Measured { pictures, total: self.total, images_per_s, eta_s };
            if let Err(error) = self.events.append(Body::Measured(measured)) {
                self.failed = Some(error);
                return ControlFlow::Break(());
            }
        }
        self.outcome = match self.dir.wanted() {
            // The server never stops an evaluation, because half a report is useless.
            Command::Run | Command::Stop => return ControlFlow::Continue(()),
            Command::Pause => Outcome::Paused,
            Command::Cancel => Outcome::Cancelled,
        };
        ControlFlow::Break(())
    }
}
