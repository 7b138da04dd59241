//! One model on a data set: what `blazetune evaluate` reports.

use tch::Device;

use super::pictures::Pictures;
use super::spec::Loss;
use super::validation::{results, validate};
use crate::eval::average_precision::PictureResult;
use crate::eval::report::Report;
use crate::eval::suppression::Detection;
use crate::model::layout::INPUT_SIZE;
use crate::model::network::Network;
use crate::model::tensors::Weights;

/// What a model finds, and how good that is.
#[derive(Debug)]
pub struct Evaluation {
    /// Every figure.
    pub report: Report,
    /// Mean distance of the keypoints from the reference's over the face's width, on faces that both
    /// find; `None` without a reference.
    pub keypoint_nme: Option<f64>,
    /// Per picture, in the order of `Pictures::val`, as fractions of the network's square.
    pub results: Vec<PictureResult>,
    detections: Vec<Vec<Detection>>,
}

/// Runs a model over `Pictures::val` on the CPU, exactly as validation does while training.
///
/// * `reference`: the other model, where two are compared.
pub fn evaluate(
    weights: &Weights,
    pictures: &Pictures,
    reference: Option<&Evaluation>,
) -> Evaluation {
    let network = Network::folded(weights, Device::Cpu);
    let reference = reference.map(|reference| reference.detections.as_slice());
    let validation = validate(&network, pictures, &Loss::default(), reference);
    let results = results(pictures, &validation.detections);
    let names: Vec<&str> =
        pictures.val.iter().map(|&index| pictures.entries[index].name.as_str()).collect();
    let report = Report::new(&names, &results, INPUT_SIZE as f32);
    let keypoint_nme = validation.metrics.keypoint_nme;
    Evaluation { report, keypoint_nme, results, detections: validation.detections }
}
