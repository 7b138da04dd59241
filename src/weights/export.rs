//! Writes weights in any supported format.

use std::collections::BTreeMap;

use super::onnx::{self, OnnxOutputs};
use super::tflite::{self, About};
use super::{WeightsError, pth, safetensors};
use crate::model::layout::Variant;
use crate::model::tensors::Weights;

/// A file format for weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `.safetensors`.
    Safetensors,
    /// `.pth` under the published port's names.
    Pth,
    /// `.tflite` with 16-bit floats, like `MediaPipe`'s own file.
    Tflite,
    /// `.tflite` with 32-bit floats.
    TfliteFloat32,
    /// `.tflite` with 8-bit kernels.
    TfliteInt8,
    /// `.onnx` with raw outputs.
    Onnx,
    /// `.onnx` that outputs faces.
    OnnxFaces,
}

/// Metadata that is written along with the weights.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    /// Metadata for formats with fixed fields.
    pub about: About,
    /// Metadata for formats with arbitrary keys.
    pub texts: BTreeMap<String, String>,
}

impl Format {
    /// All formats. If one ending is a suffix of another, the longer one comes first.
    pub const ALL: [Self; 7] = [
        Self::Safetensors,
        Self::Pth,
        Self::TfliteFloat32,
        Self::TfliteInt8,
        Self::Tflite,
        Self::OnnxFaces,
        Self::Onnx,
    ];

    /// The formats that a job delivers if they fit the network. The others are written on request.
    pub const DELIVERED: [Self; 3] = [Self::Safetensors, Self::Pth, Self::Tflite];

    /// Returns the format's file extension without the leading dot. It is also the format's name.
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

    /// Splits a file name into its stem and its format, or returns `None` if no format matches.
    pub fn of_file(name: &str) -> Option<(&str, Self)> {
        let stem = |format: &Self| name.strip_suffix(format.ending())?.strip_suffix('.');
        Self::ALL.iter().find_map(|format| Some((stem(format)?, *format)))
    }

    /// Whether the format can hold a variant's weights. `MediaPipe` only loads its short-range network, so a `.tflite`
    /// with any other network would be useless.
    pub fn fits(self, variant: Variant) -> bool {
        let is_tflite = matches!(self, Self::Tflite | Self::TfliteFloat32 | Self::TfliteInt8);
        variant == Variant::Short || !is_tflite
    }

    /// Returns the file's bytes. Equal arguments give equal bytes.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if the format cannot hold the weights.
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
    fn equal_weights_give_equal_bytes() {
        for format in Format::ALL {
            let write = || format.write(mediapipe(), &Notes::default()).unwrap();
            assert!(write() == write(), "{format:?}");
        }
    }
}
