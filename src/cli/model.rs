//! Reads weights that are named on the command line.

use std::path::Path;

use anyhow::Context;
use blazetune::model::tensors::Weights;
use blazetune::protocol::evaluate_spec::MEDIAPIPE;
use blazetune::weights::{self, tflite};

/// Reads weights in any format.
pub(super) fn load(path: &Path) -> anyhow::Result<Weights> {
    let weights = weights::load(&read(path)?);
    weights.with_context(|| format!("cannot use {}", path.display()))
}

/// Reads weights in any format, or returns those of `MediaPipe`'s model if `path` is `mediapipe`.
pub(super) fn named(path: &Path) -> anyhow::Result<Weights> {
    if path == Path::new(MEDIAPIPE) { Ok(tflite::mediapipe().clone()) } else { load(path) }
}

/// Reads a whole file.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
