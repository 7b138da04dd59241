//! Writes weights in any format, by the file's name.

use std::collections::BTreeMap;

use super::onnx::{self, OnnxOutputs};
use super::tflite::{self, About};
use super::{WeightsError, pth, safetensors};
use crate::model::layout::Variant;
use crate::model::tensors::Weights;

/// What weights can be written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `.safetensors`.
    Safetensors,
    /// `.pth` under the published port's names.
    Pth,
    /// `.tflite` in 16 bits, like `MediaPipe`'s own.
    Tflite,
    /// `.tflite` in 32 bits.
    TfliteFloat32,
    /// `.tflite` with kernels of 8 bits.
    TfliteInt8,
    /// `.onnx` with raw outputs.
    Onnx,
    /// `.onnx` with faces as its outputs.
    OnnxFaces,
}

/// What is written beside the weights.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    /// For formats that have fields for it.
    pub about: About,
    /// For formats that accept any texts.
    pub texts: BTreeMap<String, String>,
}

impl Format {
    /// All formats; longer endings come before shorter ones that they end with.
    pub const ALL: [Self; 7] = [
        Self::Safetensors,
        Self::Pth,
        Self::TfliteFloat32,
        Self::TfliteInt8,
        Self::Tflite,
        Self::OnnxFaces,
        Self::Onnx,
    ];

    /// The formats that a job delivers, if they fit the network; the others are written on request.
    pub const DELIVERED: [Self; 3] = [Self::Safetensors, Self::Pth, Self::Tflite];

    /// What names of such files end with, without the first dot. It names the format, too.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::Pth => "pth",
            Self::Tflite => "tflite",
            Self::TfliteFloat32 => "float32.tflite",
            Self::TfliteInt8 => "int8.tflite",
            Self::Onnx => "onnx",
            Self::OnnxFaces => "faces.onnx",
        }
    }

    /// The format, and what stands before its ending, of a file's name.
    pub fn of_file(name: &str) -> Option<(&str, Self)> {
        let stem = |format: &Self| name.strip_suffix(format.ending())?.strip_suffix('.');
        Self::ALL.iter().find_map(|format| Some((stem(format)?, *format)))
    }

    /// Whether weights of a variant fit this format. `MediaPipe` loads only its short-range network, so a `.tflite` of
    /// another would be useless.
    pub fn fits(self, variant: Variant) -> bool {
        let is_tflite = matches!(self, Self::Tflite | Self::TfliteFloat32 | Self::TfliteInt8);
        variant == Variant::Short || !is_tflite
    }

    /// The file's bytes; the same ones for the same arguments.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] when the format cannot hold the weights.
    pub fn write(self, weights: &Weights, notes: &Notes) -> Result<Vec<u8>, WeightsError> {
        let Notes { about, texts } = notes;
        Ok(match self {
            Self::Safetensors => safetensors::write(weights, texts)?,
            Self::Pth => pth::write(weights)?,
            Self::Tflite => tflite::write_float16(weights, about)?,
            Self::TfliteFloat32 => tflite::write_float32(weights, about)?,
            Self::TfliteInt8 => tflite::write_int8(weights, about)?,
            Self::Onnx => onnx::write(weights, OnnxOutputs::Raw, texts),
            Self::OnnxFaces => onnx::write(weights, OnnxOutputs::Faces, texts),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tflite::mediapipe;
    use super::*;

    #[test]
    fn the_longest_matching_ending_decides_the_format() {
        assert_eq!(Format::of_file("best.float32.tflite"), Some(("best", Format::TfliteFloat32)));
        assert_eq!(Format::of_file("last.tflite"), Some(("last", Format::Tflite)));
        assert_eq!(Format::of_file("best.onnx"), Some(("best", Format::Onnx)));
        assert_eq!(Format::of_file("onnx"), None);
        assert_eq!(Format::of_file("card.json"), None);
    }

    #[test]
    fn the_same_weights_give_the_same_bytes() {
        for format in Format::ALL {
            let write = || format.write(mediapipe(), &Notes::default()).unwrap();
            assert!(write() == write(), "{format:?}");
        }
    }
}
