//! `MediaPipe`'s `.tflite`: the weights lie in it as constants, and tuned ones take their place.
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

/// The file is not one this network's weights can be read from or written to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TfliteError {
    /// It does not start like a TensorFlow Lite model.
    #[error("not a TensorFlow Lite model")]
    NotTflite,
    /// It is cut off or altered.
    #[error("the TensorFlow Lite model is damaged")]
    Damaged(#[from] Damaged),
    /// A constant that the network needs is not there.
    #[error(
        "the TensorFlow Lite model has no constant {0}; is it MediaPipe's short-range face detector?"
    )]
    Missing(String),
    /// A constant has another shape or type.
    #[error("constant {name} has {found} where {expected} is needed")]
    Mismatch {
        /// Its name.
        name: String,
        /// What is there.
        found: String,
        /// What should be.
        expected: String,
    },
    /// `MediaPipe`'s graph has one network's numbers built in.
    #[error(
        "no .tflite can hold {}: MediaPipe's graph takes its short-range network only; choose \
         .onnx, .safetensors or .pth",
        .0.title
    )]
    Variant(&'static Layout),
    /// The weights themselves cannot be used.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A value that does not fit into 16 bits.
    #[error("{name} holds {value}, which a float16 .tflite cannot hold (at most 65504)")]
    Range {
        /// The tensor.
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

/// `MediaPipe`'s own file: Google's, Apache-2.0.
pub fn base() -> &'static [u8] {
    BASE
}

/// The weights in it.
///
/// # Panics
///
/// Never: the file is part of the binary, and a test reads it.
pub fn mediapipe() -> &'static Weights {
    static WEIGHTS: LazyLock<Weights> =
        LazyLock::new(|| read(BASE).expect("the embedded model is whole"));
    &WEIGHTS
}

/// Whether these bytes start like a TensorFlow Lite model.
pub fn is_tflite(bytes: &[u8]) -> bool {
    bytes.get(4..8) == Some(MAGIC.as_slice())
}

/// Reads the network's weights.
///
/// # Errors
///
/// [`TfliteError`]; hostile bytes never panic.
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

/// A copy of `base` with these weights in the place of its own, in the precision it has; all else
/// stays, `MediaPipe`'s metadata too.
///
/// # Errors
///
/// [`TfliteError`] when `base` is not such a file, or a value does not fit.
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

/// `MediaPipe`'s own file with these weights and this metadata, in 16 bits.
///
/// # Errors
///
/// The same as [`write()`].
pub fn write_float16(weights: &Weights, about: &About) -> Result<Vec<u8>, TfliteError> {
    metadata::replace(&write(base(), weights)?, about)
}

/// The same graph in 32 bits, twice as large: every weight to the bit.
///
/// # Errors
///
/// [`TfliteError::Variant`].
pub fn write_float32(weights: &Weights, about: &About) -> Result<Vec<u8>, TfliteError> {
    check_variant(weights)?;
    Ok(graph::write(weights, Kernels::Float32, about))
}

/// The same graph with kernels of 8 bits, each output channel with a scale of its own; it computes in 32.
///
/// # Errors
///
/// [`TfliteError::Variant`].
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
    fn writing_back_what_was_read_changes_no_byte() {
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
    fn a_value_beyond_half_precision_is_refused_by_name() {
        let mut arrays = mediapipe().arrays().clone();
        arrays.get_mut("classifier_8.bias").unwrap().values[0] = 1e6;
        let error = write(base(), &Weights::new(arrays).unwrap()).unwrap_err();
        assert!(error.to_string().starts_with("classificator_8/Bias holds 1000000"), "{error}");
    }

    #[test]
    fn a_float32_file_holds_every_weight_to_the_bit() {
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
    fn metadata_is_replaced_without_touching_the_rest() {
        let about = About { name: "mine".into(), threshold: Some(0.4), ..About::default() };
        let file = write_float16(mediapipe(), &about).unwrap();
        assert_eq!(&read(&file).unwrap(), mediapipe());
        let differing = file.iter().zip(base()).filter(|(a, b)| a != b).count();
        assert!(differing <= 4, "{differing} bytes of the base file have changed");
    }

    #[test]
    fn truncated_files_are_errors() {
        // MediaPipe's metadata is appended behind the weights, so the last bytes are not missed.
        for length in (0..base().len() - 20_000).step_by(97) {
            assert!(read(&base()[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn flipped_bytes_never_panic() {
        let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(1);
        for _ in 0..500 {
            let mut bytes = base().to_vec();
            for _ in 0..rng.random_range(1..40) {
                // Structure lies at both ends, weights between.
                let near = rng.random_range(0..20_000usize);
                let at = if rng.random() { near } else { bytes.len() - 1 - near };
                bytes[at] = rng.random();
            }
            let _ = read(&bytes); // Either way is fine.
        }
    }
}
