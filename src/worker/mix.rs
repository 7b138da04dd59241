//! A mixing job, which mixes a model with the base model without training.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use serde_json::json;
use tracing::info;

use super::artifacts;
use super::error::RunError;
use super::heartbeat;
use crate::model::device::Device;
use crate::model::runner::Runner;
use crate::model::tensors::Weights;
use crate::protocol::control::Command;
use crate::protocol::events::{Body, Finished, Measured, Outcome, Started};
use crate::protocol::folder::JobDir;
use crate::protocol::log::EventLog;
use crate::protocol::metrics::MetricsRow;
use crate::protocol::mix_spec::MixSpec;
use crate::protocol::mixing::{Mix, Mixing, Reason};
use crate::protocol::train_spec::Loss;
use crate::time::now;
use crate::train::device;
use crate::train::score_shift;
use crate::train::validation::{Validation, validate};
use crate::train::views::pictures::Pictures;
use crate::weights;
use crate::weights::tflite::mediapipe;

/// Mixes the models, measures the base model and the mix if there is a data set, and writes the mix in every format.
///
/// # Errors
///
/// [`RunError`] if the weights, the data set or the job's folder cannot be used.
pub fn run(dir: &JobDir, spec: &MixSpec, events: &mut EventLog) -> Result<Finished, RunError> {
    let device = device::choose(spec.device)?;
    let tuned = load(&spec.weights_file)?;
    let mixed = tuned.mixed(mediapipe(), spec.retain as f32);
    let pictures = spec.dataset_dir.as_deref().map(Pictures::open).transpose();
    let pictures = pictures.map_err(|error| RunError::Data(error.into()))?;
    let total = pictures.as_ref().map_or(0, |pictures| 2 * pictures.val.len() as u32);
    info!("mixing in {:.0} % of the base model", spec.retain * 100.0);
    events.append(Body::Started(Started {
        device: device.to_string(),
        resumed_at_epoch: 0,
        resumed_at_step: 0,
        epochs: 0,
        steps: total,
        views_per_step: None,
    }))?;

    let (mut curve, mut delivered, mut result, mut score_shift) = (vec![], mixed, None, None);
    if let Some(pictures) = &pictures {
        let began = Instant::now();
        let baseline = measure(mediapipe(), pictures, device, None)?;
        report(events, &baseline, total, began)?;
        if dir.wanted() == Command::Cancel {
            return Ok(Finished::without_result(Outcome::Cancelled));
        }
        let mut found = measure(&delivered, pictures, device, Some(&baseline))?;
        curve.push(Mix { retain: spec.retain, val: found.metrics });
        if spec.calibrate_scores {
            let (base, loss) = (mediapipe(), Loss::default());
            let shifted = score_shift::shift(
                delivered,
                found,
                base,
                &baseline,
                pictures,
                &loss,
                device,
                &heartbeat::beat,
            )?;
            (delivered, found, score_shift) = (shifted.weights, shifted.found, Some(shifted.shift));
        }
        result = Some(found.metrics);
    }
    let mixing = Mixing { retain: spec.retain, reason: Reason::Requested, curve };
    let metadata = BTreeMap::from([
        ("retain".to_owned(), spec.retain.to_string()),
        ("metrics".to_owned(), json!(result).to_string()),
        ("score_shift".to_owned(), json!(score_shift).to_string()),
    ]);
    std::fs::create_dir_all(dir.artifacts())?;
    let about = artifacts::about("mix", result.as_ref(), score_shift.as_ref());
    let artifacts =
        artifacts::write_formats(&dir.artifacts(), "best", &delivered, metadata, about)?;
    let variant = delivered.layout().variant;
    let (mixing, done) = (Some(mixing), Finished::without_result(Outcome::Completed));
    let (score_shift, result) = (score_shift.map(Box::new), result.map(Box::new));
    Ok(Finished { artifacts, mixing, score_shift, result, variant, ..done })
}

fn load(path: &Path) -> Result<Weights, RunError> {
    let bytes = std::fs::read(path).map_err(|error| RunError::Init(error.into()))?;
    weights::load(&bytes).map_err(|error| RunError::Init(error.into()))
}

fn measure(
    weights: &Weights,
    pictures: &Pictures,
    device: Device,
    reference: Option<&Validation>,
) -> Result<Validation, RunError> {
    let runner = Runner::new(weights, device)?;
    let reference = reference.map(|found| found.detections.as_slice());
    Ok(validate(&runner, pictures, &Loss::default(), reference, &heartbeat::beat))
}

/// Reports the base model's metrics as row 0, as in a training job, and reports that half the work is done.
fn report(
    events: &mut EventLog,
    baseline: &Validation,
    total: u32,
    began: Instant,
) -> Result<(), RunError> {
    let pictures = total / 2;
    if !events.has_epoch(0) {
        events.append(Body::Epoch(Box::new(MetricsRow {
            epoch: 0,
            step: 0,
            time: now(),
            lr: 0.0,
            images_per_s: 0.0,
            seconds: began.elapsed().as_secs_f64(),
            is_best: false,
            train: None,
            diagnostics: None,
            val: baseline.metrics,
        })))?;
    }
    let eta_s = began.elapsed().as_secs_f64();
    let images_per_s = f64::from(pictures) / eta_s;
    Ok(events.append(Body::Measured(Measured { pictures, total, images_per_s, eta_s }))?)
}
