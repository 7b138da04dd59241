//! `MediaPipe`'s `.tflite`: the weights lie in it as constants, and tuned ones take their place.
//!
//! Source: TensorFlow Lite's `schema.fbs`.

mod build;
mod flatbuffer;
mod graph;
mod metadata;
mod quantised;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

use half::f16;

pub use self::flatbuffer::Damaged;
use self::flatbuffer::Table;
use self::graph::Kernels;
pub use self::metadata::About;
use crate::model::layout::{Conv, Layout, Role, SHORT, Variant};
use crate::model::tensors::{Array, Arrays, LayoutError, Weights};

/// The file is not one this network's weights can be read from or written to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TfliteError {
    /// It does not start as a TensorFlow Lite model does.
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
    /// The weights themselves are no good.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A value does not fit into 16 bits.
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

/// Whether these bytes start as a TensorFlow Lite model does.
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
/// As [`write()`].
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

/// A tensor with data of its own.
#[derive(Debug, Clone)]
struct Constant {
    name: String,
    shape: Vec<u32>,
    stored: Stored,
    range: Range<usize>,
}

#[derive(Debug, Clone, PartialEq)]
enum Stored {
    Float32,
    Float16,
    /// Whole numbers, to be multiplied by one scale, or by one of each index of a dimension.
    Int8(Vec<f32>, usize),
}

impl Stored {
    fn size(&self) -> usize {
        match self {
            Self::Float32 => 4,
            Self::Float16 => 2,
            Self::Int8(..) => 1,
        }
    }
}

impl Constant {
    fn values(&self, bytes: &[u8]) -> Vec<f32> {
        let data = &bytes[self.range.clone()];
        match &self.stored {
            Stored::Float32 => {
                data.as_chunks::<4>().0.iter().map(|&four| f32::from_le_bytes(four)).collect()
            }
            Stored::Float16 => {
                let pairs = data.as_chunks::<2>().0.iter();
                pairs.map(|&pair| f16::from_le_bytes(pair).to_f32()).collect()
            }
            Stored::Int8(scales, dimension) => {
                quantised::scaled(&self.shape, data, scales, *dimension)
            }
        }
    }

    fn overwrite(&self, bytes: &mut [u8], values: &[f32]) -> Result<(), TfliteError> {
        let data = &mut bytes[self.range.clone()];
        if self.stored == Stored::Float32 {
            for (four, value) in data.as_chunks_mut::<4>().0.iter_mut().zip(values) {
                *four = value.to_le_bytes();
            }
            return Ok(());
        }
        for (pair, &value) in data.as_chunks_mut::<2>().0.iter_mut().zip(values) {
            let half = f16::from_f32(value); // to nearest, ties to even
            if !half.is_finite() {
                let (name, value) = (self.name.clone(), value.to_string());
                return Err(TfliteError::Range { name, value });
            }
            *pair = half.to_le_bytes();
        }
        Ok(())
    }
}

/// Field numbers of the schema's tables.
mod field {
    pub(super) const MODEL_SUBGRAPHS: usize = 2;
    pub(super) const MODEL_BUFFERS: usize = 4;
    pub(super) const MODEL_METADATA: usize = 6;
    pub(super) const SUBGRAPH_TENSORS: usize = 0;
    pub(super) const TENSOR_SHAPE: usize = 0;
    pub(super) const TENSOR_TYPE: usize = 1;
    pub(super) const TENSOR_BUFFER: usize = 2;
    pub(super) const TENSOR_NAME: usize = 3;
    pub(super) const TENSOR_QUANTIZATION: usize = 4;
    pub(super) const QUANTIZATION_SCALE: usize = 2;
    pub(super) const QUANTIZATION_ZERO_POINT: usize = 3;
    pub(super) const QUANTIZATION_DIMENSION: usize = 6;
    pub(super) const BUFFER_DATA: usize = 0;
}

const FLOAT32: u8 = 0;
const FLOAT16: u8 = 1;
const INT8: u8 = 9;
/// Dimensions of a tensor.
const MAX_DIMENSIONS: usize = 8;
/// Channels with a scale of their own.
const MAX_SCALES: usize = 256;

/// Every constant of the first subgraph that stands for floats, by name.
fn constants(bytes: &[u8]) -> Result<BTreeMap<String, Constant>, TfliteError> {
    if !is_tflite(bytes) {
        return Err(TfliteError::NotTflite);
    }
    let model = Table::root(bytes)?;
    let buffers = model.tables(field::MODEL_BUFFERS)?;
    let subgraphs = model.tables(field::MODEL_SUBGRAPHS)?;
    let subgraph = subgraphs.first().ok_or(Damaged(0))?;
    let mut constants = BTreeMap::new();
    for tensor in subgraph.tables(field::SUBGRAPH_TENSORS)? {
        let kind = tensor.u8(field::TENSOR_TYPE)?;
        let buffer = tensor.u32(field::TENSOR_BUFFER)? as usize;
        let buffer = buffers.get(buffer).ok_or(Damaged(buffer))?;
        let Some(range) = buffer.bytes(field::BUFFER_DATA)? else { continue };
        let shape = tensor.u32s(field::TENSOR_SHAPE, MAX_DIMENSIONS)?;
        let stored = match kind {
            FLOAT32 => Some(Stored::Float32),
            FLOAT16 => Some(Stored::Float16),
            INT8 => int8(&tensor, &shape)?,
            _ => None,
        };
        let Some(stored) = stored.filter(|_| !range.is_empty()) else { continue };
        let name = tensor.text(field::TENSOR_NAME)?;
        constants.insert(name.clone(), Constant { name, shape, stored, range });
    }
    Ok(constants)
}

/// How whole numbers are scaled; `None` where zero is not zero, as in activations, or where it does not fit `shape`.
fn int8(tensor: &Table<'_>, shape: &[u32]) -> Result<Option<Stored>, TfliteError> {
    let Some(scaling) = tensor.table(field::TENSOR_QUANTIZATION)? else { return Ok(None) };
    let scales = scaling.u32s(field::QUANTIZATION_SCALE, MAX_SCALES)?;
    let zeros = scaling.bytes_of(field::QUANTIZATION_ZERO_POINT, 8)?.unwrap_or_default();
    let dimension = scaling.u32(field::QUANTIZATION_DIMENSION)? as usize;
    let fits = scales.len() == 1 || shape.get(dimension) == Some(&(scales.len() as u32));
    if !fits || zeros.iter().any(|&byte| byte != 0) {
        return Ok(None);
    }
    let scales = scales.into_iter().map(f32::from_bits).collect();
    Ok(Some(Stored::Int8(scales, dimension)))
}

/// A convolution's kernel or bias, of the right size.
fn find<'a>(
    constants: &'a BTreeMap<String, Constant>,
    conv: &Conv,
    what: &str,
) -> Result<&'a Constant, TfliteError> {
    let name = format!("{}/{what}", conv.tflite_name);
    let constant = constants.get(&name).ok_or_else(|| TfliteError::Missing(name.clone()))?;
    let [o, i, h, w] = conv.shape.map(|length| length as u32);
    let expected = match (what, conv.role) {
        ("Bias", _) => vec![o],
        (_, Role::Depthwise) => vec![1, h, w, o],
        _ => vec![o, h, w, i],
    };
    let size = expected.iter().product::<u32>() as usize * constant.stored.size();
    if constant.shape != expected || constant.range.len() != size {
        let found = format!("shape {:?} in {} bytes", constant.shape, constant.range.len());
        let expected = format!("shape {expected:?} in {size} bytes");
        return Err(TfliteError::Mismatch { name, found, expected });
    }
    Ok(constant)
}

/// `[O, H, W, I]` (depthwise `[1, H, W, C]`) to `[O, I, H, W]`.
fn to_pytorch(conv: &Conv, values: &[f32]) -> Vec<f32> {
    positions(conv).map(|position| values[position]).collect()
}

/// The other way round.
fn from_pytorch(conv: &Conv, values: &[f32]) -> Vec<f32> {
    let mut kernel = vec![0.0; values.len()];
    for (position, &value) in positions(conv).zip(values) {
        kernel[position] = value;
    }
    kernel
}

/// Where each element of `[O, I, H, W]` lies in TensorFlow's order.
fn positions(conv: &Conv) -> impl Iterator<Item = usize> {
    let [outputs, inputs, height, width] = conv.shape;
    let depthwise = conv.role == Role::Depthwise;
    (0..outputs * inputs * height * width).map(move |index| {
        let (x, rest) = (index % width, index / width);
        let (y, rest) = (rest % height, rest / height);
        let (input, output) = (rest % inputs, rest / inputs);
        if depthwise {
            (y * width + x) * outputs + output
        } else {
            ((output * height + y) * width + x) * inputs + input
        }
    })
}

#[cfg(test)]
mod tests {
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
