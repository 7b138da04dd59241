//! From a picture to faces, as `MediaPipe`'s `FaceDetector` does it.

use image::RgbImage;
use tch::{Device, Tensor};

use super::suppression::{Detection, suppress};
use crate::data::resample;
use crate::geometry::{Letterbox, Rect};
use crate::model::anchors;
use crate::model::layout::{ANCHORS, COORDINATES};
use crate::model::network::{Mode, Network, Outputs, to_input};
use crate::model::tensors::Weights;

/// Logits are clipped to this before the sigmoid.
const LOGIT_LIMIT: f32 = 100.0;

/// A network ready to find faces, on the CPU.
#[derive(Debug)]
pub struct Detector {
    network: Network,
    centres: Vec<[f32; 2]>,
}

impl Detector {
    /// From published or tuned weights.
    pub fn new(weights: &Weights) -> Self {
        let network = Network::folded(weights, Device::Cpu);
        Self { network, centres: anchors::centres() }
    }

    /// Faces of at least `min_score` (0..1), best first, in fractions of the picture. Boxes may
    /// reach over its edges.
    pub fn detect(&self, picture: &RgbImage, min_score: f32) -> Vec<Detection> {
        let size = self.network.layout().input_size;
        let side = size as i64;
        let bytes = resample::letterbox(picture, size as u32);
        let input = to_input(&Tensor::from_slice(&bytes).reshape([1, side, side, 3]));
        let outputs = tch::no_grad(|| self.network.forward(&input, Mode::Evaluate));
        let letterbox = Letterbox::exact(picture.width(), picture.height(), size as u32);
        let mut faces = faces(&outputs, size, &self.centres, min_score).remove(0);
        for face in &mut faces {
            face.rect = letterbox.to_picture(&face.rect);
            for [x, y] in &mut face.keypoints {
                (*x, *y) = letterbox.point_to_picture(*x, *y);
            }
        }
        faces
    }
}

/// The faces of each picture of a batch, in fractions of the network's square, best first.
///
/// * `input_size`: of the network, in whose pixels its outputs are.
pub fn faces(
    outputs: &Outputs,
    input_size: usize,
    centres: &[[f32; 2]],
    min_score: f32,
) -> Vec<Vec<Detection>> {
    let logits = to_vec(&outputs.logits);
    let coordinates = to_vec(&outputs.coordinates);
    let pictures =
        logits.chunks_exact(ANCHORS).zip(coordinates.chunks_exact(ANCHORS * COORDINATES));
    pictures
        .map(|(logits, coordinates)| {
            suppress(decode(logits, coordinates, input_size, centres, min_score))
        })
        .collect()
}

/// Source: `MediaPipe` `tensors_to_detections_calculator.cc`.
fn decode(
    logits: &[f32],
    coordinates: &[f32],
    input_size: usize,
    centres: &[[f32; 2]],
    min_score: f32,
) -> Vec<Detection> {
    let anchors = logits.iter().zip(coordinates.chunks_exact(COORDINATES)).zip(centres);
    let detection = |((logit, raw), &[x, y]): ((&f32, &[f32]), &[f32; 2])| {
        let score = sigmoid(logit.clamp(-LOGIT_LIMIT, LOGIT_LIMIT));
        // Also drops what is not a number.
        if !(score >= min_score && raw[2] >= 0.0 && raw[3] >= 0.0) {
            return None;
        }
        let scaled = |index: usize| raw[index] / input_size as f32;
        let mut keypoints = [[0.0; 2]; 6];
        for (number, keypoint) in keypoints.iter_mut().enumerate() {
            *keypoint = [scaled(4 + 2 * number) + x, scaled(5 + 2 * number) + y];
        }
        let rect = Rect::around(scaled(0) + x, scaled(1) + y, scaled(2), scaled(3));
        Some(Detection { rect, score, keypoints })
    };
    anchors.filter_map(detection).collect()
}

/// 0..1 for any logit.
pub fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

fn to_vec(tensor: &Tensor) -> Vec<f32> {
    let flat = tensor.to_device(Device::Cpu).contiguous().reshape([-1]);
    let mut values = vec![0.0; flat.numel()];
    flat.copy_data(&mut values, flat.numel());
    values
}
