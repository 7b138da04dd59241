//! Reads and writes `MediaPipe`'s `.tflite`, which contains the weights as constants.
//!
//! Source: TensorFlow Lite's `schema.fbs`.

mod build;
mod constants;
mod flatbuffer;
mod graph;
mod metadata;
mod order;
mod quantised;

use std::sync::LazyLock;

use self::constants::{constants, find};
pub use self::flatbuffer::Damaged;
use self::graph::Kernels;
pub use self::metadata::About;
use self::order::{from_pytorch, to_pytorch};
use crate::model::layout::{Layout, SHORT, Variant};
use crate::model::tensors::{Array, Arrays, LayoutError, Weights};

/// The reason why weights cannot be read from or written to a `.tflite`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TfliteError {
    /// The file does not start like a TensorFlow Lite model.
    #[error("not a TensorFlow Lite model")]
    NotTflite,
    /// The file is truncated or altered.
    #[error("the TensorFlow Lite model is damaged")]
    Damaged(#[from] Damaged),
    /// A constant that the network needs is missing.
    #[error(
        "the TensorFlow Lite model has no constant {0}; is it MediaPipe's short-range face detector?"
    )]
    Missing(String),
    /// A constant has the wrong shape or size.
    #[error("constant {name} has {found} instead of {expected}")]
    Mismatch {
        /// The constant's name.
        name: String,
        /// Its shape and size in the file.
        found: String,
        /// The expected shape and size.
        expected: String,
    },
    /// The weights belong to a variant that `MediaPipe`'s graph does not support.
    #[error(
        "a .tflite cannot hold {}: MediaPipe's graph only supports its short-range network; choose \
         .onnx, .safetensors or .pth",
        .0.title
    )]
    Variant(&'static Layout),
    /// The weights in the file are invalid.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A value does not fit in a 16-bit float.
    #[error("{name} holds {value}, which does not fit in a float16 .tflite (at most 65504)")]
    Range {
        /// The tensor's name.
        name: String,
        /// The value, as text.
        value: String,
    },
}

const MAGIC: &[u8; 4] = b"TFL3";
const BASE: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/.deps/weights/face_detection_short_range.tflite"
));

/// Returns `MediaPipe`'s own file, which Google licenses under Apache-2.0.
pub fn base() -> &'static [u8] {
    BASE
}

/// Returns the weights in [`base`].
///
/// # Panics
///
/// Never, because the file is part of the binary and a test reads it.
pub fn mediapipe() -> &'static Weights {
    static WEIGHTS: LazyLock<Weights> =
        LazyLock::new(|| read(BASE).expect("the embedded model is valid"));
    &WEIGHTS
}

/// Whether the bytes start like a TensorFlow Lite model.
pub fn is_tflite(bytes: &[u8]) -> bool {
    bytes.get(4..8) == Some(MAGIC.as_slice())
}

/// Reads the network's weights.
///
/// # Errors
///
/// [`TfliteError`] if the bytes do not contain the network. Hostile bytes never cause a panic.
pub fn read(bytes: &[u8]) -> Result<Weights, TfliteError> {
    let constants = constants(bytes)?;
    let mut arrays = Arrays::new();
    for conv in SHORT.convs() {
        let (weight, bias) = (find(&constants, &conv, "Kernel")?, find(&constants, &conv, "Bias")?);
        let values = to_pytorch(&conv, &weight.values(bytes));
        arrays.insert(format!("{}.weight", conv.name), Array { shape: conv.shape.into(), values });
        let (shape, values) = (vec![conv.shape[0]], bias.values(bytes));
        arrays.insert(format!("{}.bias", conv.name), Array { shape, values });
    }
    Ok(Weights::new(arrays)?)
}

/// Returns a copy of `base` with the given weights, in the precision of `base`. Everything else stays unchanged,
/// including `MediaPipe`'s metadata.
///
/// # Errors
///
/// [`TfliteError`] if `base` does not contain the network, or if a value does not fit.
pub fn write(base: &[u8], weights: &Weights) -> Result<Vec<u8>, TfliteError> {
    check_variant(weights)?;
    let constants = constants(base)?;
    let mut bytes = base.to_vec();
    for conv in SHORT.convs() {
        let (weight, bias) = weights.conv(&conv.name);
        for (what, values) in
            [("Kernel", from_pytorch(&conv, &weight.values)), ("Bias", bias.values.clone())]
        {
            let constant = find(&constants, &conv, what)?;
            constant.overwrite(&mut bytes, &values)?;
        }
    }
    Ok(bytes)
}

/// Returns `MediaPipe`'s own file with the given weights, as 16-bit floats, and the given metadata.
///
/// # Errors
///
/// Same as [`write()`].
pub fn write_float16(weights: &Weights, about: &About) -> Result<Vec<u8>, TfliteError> {
    metadata::replace(&write(base(), weights)?, about)
}

/// Returns `MediaPipe`'s graph with exact 32-bit weights. The file is twice as large.
///
/// # Errors
///
/// [`TfliteError::Variant`] for any network but the short-range one.
pub fn write_float32(weights: &Weights, about: &About) -> Result<Vec<u8>, TfliteError> {
    check_variant(weights)?;
    Ok(graph::write(weights, Kernels::Float32, about))
}

/// Returns `MediaPipe`'s graph with 8-bit kernels and a scale per output channel. It computes with 32-bit floats.
///
/// # Errors
///
/// [`TfliteError::Variant`] for any network but the short-range one.
pub fn write_int8(weights: &Weights, about: &About) -> Result<Vec<u8>, TfliteError> {
    check_variant(weights)?;
    Ok(graph::write(weights, Kernels::Int8, about))
}

fn check_variant(weights: &Weights) -> Result<(), TfliteError> {
    match weights.layout().variant {
        Variant::Short => Ok(()),
        Variant::Back => Err(TfliteError::Variant(weights.layout())),
    }
}

#[cfg(test)]
mod tests {
    use half::f16;
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn writing_unchanged_weights_changes_no_byte() {
        assert_eq!(write(base(), mediapipe()).unwrap(), base());
    }

    #[test]
    fn a_changed_weight_is_read_back_at_half_precision() {
        let mut arrays = mediapipe().arrays().clone();
        let kernel = arrays.get_mut("backbone1.3.convs.0.weight").unwrap();
        kernel.values[7] = 0.3;
        let weights = Weights::new(arrays).unwrap();
        let back = read(&write(base(), &weights).unwrap()).unwrap();
        let value = back.arrays()["backbone1.3.convs.0.weight"].values[7];
        assert_eq!(value, f16::from_f32(0.3).to_f32());
    }

    #[test]
    fn the_error_for_a_value_beyond_half_precision_names_the_tensor() {
        let mut arrays = mediapipe().arrays().clone();
        arrays.get_mut("classifier_8.bias").unwrap().values[0] = 1e6;
        let error = write(base(), &Weights::new(arrays).unwrap()).unwrap_err();
        assert!(error.to_string().starts_with("classificator_8/Bias holds 1000000"), "{error}");
    }

    #[test]
    fn a_float32_file_stores_every_weight_exactly() {
        let wave = |index: usize, value: f32| value * (1.0 + 0.01 * (index as f32).sin());
        let mut arrays = mediapipe().arrays().clone();
        for array in arrays.values_mut() {
            for (index, value) in array.values.iter_mut().enumerate() {
                *value = wave(index, *value);
            }
        }
        let weights = Weights::new(arrays).unwrap();
        assert_eq!(read(&write_float32(&weights, &About::default()).unwrap()).unwrap(), weights);
    }

    #[test]
    fn replacing_the_metadata_leaves_the_rest_unchanged() {
        let about = About { name: "mine".into(), threshold: Some(0.4), ..About::default() };
        let file = write_float16(mediapipe(), &about).unwrap();
        assert_eq!(&read(&file).unwrap(), mediapipe());
        let differing = file.iter().zip(base()).filter(|(a, b)| a != b).count();
        assert!(differing <= 4, "{differing} bytes of the base file changed");
    }

    #[test]
    fn truncated_files_are_rejected() {
        // The last bytes are MediaPipe's metadata, which reading does not need.
        for length in (0..base().len() - 20_000).step_by(97) {
            assert!(read(&base()[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn altered_bytes_never_cause_a_panic() {
        let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(1);
        for _ in 0..500 {
            let mut bytes = base().to_vec();
            for _ in 0..rng.random_range(1..40) {
                // The structure is at both ends of the file, and the weights are in between.
                let near = rng.random_range(0..20_000usize);
                let at = if rng.random() { near } else { bytes.len() - 1 - near };
                bytes[at] = rng.random();
            }
            let _ = read(&bytes); // Success and failure are both fine.
        }
    }
}
