//! Finds faces in pictures the way `MediaPipe`'s `FaceDetector` does.

use std::sync::LazyLock;

use image::RgbImage;
use rayon::prelude::*;

use super::suppression::{Detection, suppress};
use crate::data::resample;
use crate::geometry::{Letterbox, Rect};
use crate::model::anchors;
use crate::model::device::{Device, NeedsTorch};
use crate::model::layout::{ANCHORS, COORDINATES};
use crate::model::outputs::Outputs;
use crate::model::runner::Runner;
use crate::model::tensors::Weights;

/// Logits are clipped to ± this value before the sigmoid.
const LOGIT_LIMIT: f32 = 100.0;

/// A network that finds faces on the CPU.
#[derive(Debug)]
pub struct Detector {
    runner: Runner,
}

/// A picture as the network sees it.
#[derive(Debug)]
pub struct Letterboxed {
    width: u32,
    height: u32,
    /// Side of the network's square, in pixels.
    side: usize,
    /// `[side, side, 3]`, RGB.
    bytes: Vec<u8>,
}

/// A network's outputs for a picture.
#[derive(Debug, PartialEq)]
pub struct DetectorOutputs {
    /// Side of the network's input; coordinates are in its pixels.
    input_size: usize,
    /// The logits and coordinates.
    numbers: Outputs,
}

impl Detector {
    /// Builds a detector from published or tuned weights.
    ///
    /// # Errors
    ///
    /// [`NeedsTorch`] for the back camera's network in a build without libtorch.
    pub fn new(weights: &Weights) -> Result<Self, NeedsTorch> {
        Ok(Self { runner: Runner::new(weights, Device::Cpu)? })
    }

    /// Returns the side of the network's square input, in pixels.
    pub fn input_size(&self) -> usize {
        self.runner.input_size()
    }

    /// Returns the faces with at least `min_score` (0..1), best first, in fractions of the picture. Boxes may extend
    /// beyond the picture.
    pub fn detect(&self, picture: &RgbImage, min_score: f32) -> Vec<Detection> {
        let picture = Letterboxed::new(picture, self.input_size());
        let input_size = self.input_size();
        let numbers = self.runner.run(&picture.bytes);
        DetectorOutputs { input_size, numbers }.faces(&picture.letterbox(), min_score)
    }

    /// Runs the network on several pictures of its input's size. Calls `done` with each picture's index and outputs as
    /// soon as they are ready. A picture's outputs do not depend on the other pictures.
    pub fn run_each(
        &self,
        pictures: &[&Letterboxed],
        done: impl Fn(usize, DetectorOutputs) + Sync,
    ) {
        let bytes: Vec<&[u8]> = pictures.iter().map(|picture| &picture.bytes[..]).collect();
        let input_size = self.input_size();
        self.runner.run_each(&bytes, |number, numbers| {
            done(number, DetectorOutputs { input_size, numbers });
        });
    }
}

impl Letterboxed {
    /// Letterboxes a picture to `side` × `side` pixels, sampling it as `MediaPipe` does.
    pub fn new(picture: &RgbImage, side: usize) -> Self {
        let (width, height) = picture.dimensions();
        Self { width, height, side, bytes: resample::letterbox(picture, side as u32) }
    }

    /// Returns the width and height of the original picture, in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Returns the picture's place in the network's square.
    pub fn letterbox(&self) -> Letterbox {
        Letterbox::exact(self.width, self.height, self.side as u32)
    }
}

impl DetectorOutputs {
    /// Decodes the same faces as [`Detector::detect`]; `letterbox` is the picture's.
    pub fn faces(&self, letterbox: &Letterbox, min_score: f32) -> Vec<Detection> {
        static CENTRES: LazyLock<Vec<[f32; 2]>> = LazyLock::new(anchors::centres);
        let Outputs { logits, coordinates } = &self.numbers;
        let mut faces = suppress(decode(logits, coordinates, self.input_size, &CENTRES, min_score));
        for face in &mut faces {
            face.rect = letterbox.to_picture(&face.rect);
            for [x, y] in &mut face.keypoints {
                (*x, *y) = letterbox.point_to_picture(*x, *y);
            }
        }
        faces
    }
}

/// Returns each picture's faces, best first, in fractions of the network's square.
///
/// * `outputs`: the outputs for one or more pictures, with coordinates in input pixels.
/// * `input_size`: side of the network's input, in pixels.
pub fn faces(
    outputs: &Outputs,
    input_size: usize,
    centres: &[[f32; 2]],
    min_score: f32,
) -> Vec<Vec<Detection>> {
    let candidates = candidates(outputs, input_size, centres, min_score);
    candidates.into_par_iter().map(suppress).collect()
}

/// Like [`faces`], but before suppression, and in the anchors' order.
pub fn candidates(
    outputs: &Outputs,
    input_size: usize,
    centres: &[[f32; 2]],
    min_score: f32,
) -> Vec<Vec<Detection>> {
    let coordinates = outputs.coordinates.par_chunks_exact(ANCHORS * COORDINATES);
    let pictures = outputs.logits.par_chunks_exact(ANCHORS).zip(coordinates);
    pictures
        .map(|(logits, coordinates)| decode(logits, coordinates, input_size, centres, min_score))
        .collect()
}

/// Decodes one picture's outputs into detections before suppression.
///
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
        // Negating the comparison also drops NaN.
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

/// Returns the sigmoid of a logit, 0..1.
pub fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}
