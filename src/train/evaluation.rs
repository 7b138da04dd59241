//! Evaluates models on a data set, for `blazetune evaluate` and evaluation jobs.

use std::ops::ControlFlow;

use super::validation::{BATCH, MIN_SCORE, keypoint_drift, results};
use super::views::pictures::Pictures;
use crate::eval::average_precision::PictureResult;
use crate::eval::detect;
use crate::eval::report::EvaluationReport;
use crate::eval::suppression::Detection;
use crate::model::anchors;
use crate::model::device::{Device, NeedsTorch};
use crate::model::layout::INPUT_SIZE;
use crate::model::runner::Runner;
use crate::model::tensors::Weights;

/// A model's detections, and how good they are.
#[derive(Debug)]
pub struct Evaluation {
    /// The model's name.
    pub name: String,
    /// All figures.
    pub report: EvaluationReport,
    /// Mean distance of the keypoints from the first model's, divided by the face's width, over the faces that both
    /// models detect; `None` for the first model.
    pub keypoint_nme: Option<f64>,
    /// Each picture's detections and faces, in the order of `Pictures::val`, as fractions of the network's square.
    pub results: Vec<PictureResult>,
    detections: Vec<Vec<Detection>>,
}

/// Runs each model over `Pictures::val`, exactly as validation does during training. Returns `None` if `proceed`
/// interrupts the evaluation.
///
/// * `models`: names and weights. The other models are compared with the first.
/// * `proceed`: receives the number of pictures done so far, summed over the models.
///
/// # Errors
///
/// [`NeedsTorch`] in a build without libtorch, if the native engine cannot run a model on the device.
pub fn evaluate(
    models: Vec<(String, Weights)>,
    pictures: &Pictures,
    device: Device,
    proceed: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Option<Vec<Evaluation>>, NeedsTorch> {
    let names: Vec<&str> =
        pictures.val.iter().map(|&index| pictures.entries[index].name.as_str()).collect();
    let entries = pictures.val.iter().map(|&index| &pictures.entries[index]);
    let difficulties: Vec<_> = entries.map(|entry| entry.difficulties.as_slice()).collect();
    let mut evaluations: Vec<Evaluation> = Vec::new();
    for (name, weights) in models {
        let before = evaluations.len() * pictures.val.len();
        let runner = Runner::new(&weights, device)?;
        let found = detect_all(&runner, pictures, &mut |done| proceed(before + done));
        let Some(detections) = found else { return Ok(None) };
        let results = results(pictures, &detections);
        let report = EvaluationReport::new(&names, &results, INPUT_SIZE as f32)
            .with_difficulties(&results, &difficulties);
        let first = evaluations.first();
        let keypoint_nme = first.and_then(|first| keypoint_drift(&first.detections, &detections));
        evaluations.push(Evaluation { name, report, keypoint_nme, results, detections });
    }
    Ok(Some(evaluations))
}

fn detect_all(
    runner: &Runner,
    pictures: &Pictures,
    proceed: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Option<Vec<Vec<Detection>>> {
    let centres = anchors::centres();
    let mut detections = Vec::with_capacity(pictures.val.len());
    let size = runner.input_size();
    for indices in pictures.val.chunks(BATCH) {
        let outputs = runner.run(&pictures.inputs_of(size, indices));
        detections.extend(detect::faces(&outputs, size, &centres, MIN_SCORE));
        proceed(detections.len()).continue_value()?;
    }
    Some(detections)
}
