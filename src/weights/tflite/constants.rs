//! Finds a model's constants: the position and the type of each convolution's values in the file.

use std::collections::BTreeMap;
use std::ops::Range;

use half::f16;

use super::flatbuffer::{Damaged, Table};
use super::quantised::scaled;
use super::{TfliteError, is_tflite};
use crate::model::layout::{Conv, Role};

/// Field numbers of the schema's tables.
pub(super) mod field {
    pub(in super::super) const MODEL_SUBGRAPHS: usize = 2;
    pub(in super::super) const MODEL_BUFFERS: usize = 4;
    pub(in super::super) const MODEL_METADATA: usize = 6;
    pub(in super::super) const SUBGRAPH_TENSORS: usize = 0;
    pub(in super::super) const TENSOR_SHAPE: usize = 0;
    pub(in super::super) const TENSOR_TYPE: usize = 1;
    pub(in super::super) const TENSOR_BUFFER: usize = 2;
    pub(in super::super) const TENSOR_NAME: usize = 3;
    pub(in super::super) const TENSOR_QUANTIZATION: usize = 4;
    pub(in super::super) const QUANTIZATION_SCALE: usize = 2;
    pub(in super::super) const QUANTIZATION_ZERO_POINT: usize = 3;
    pub(in super::super) const QUANTIZATION_DIMENSION: usize = 6;
    pub(in super::super) const BUFFER_DATA: usize = 0;
}

pub(super) const FLOAT32: u8 = 0;
const FLOAT16: u8 = 1;
pub(super) const INT8: u8 = 9;
/// Maximum number of dimensions of a tensor.
const MAX_DIMENSIONS: usize = 8;
/// Maximum number of scales of a quantised tensor.
const MAX_SCALES: usize = 256;

/// A tensor with values in the file.
#[derive(Debug, Clone)]
pub(super) struct Constant {
    name: String,
    shape: Vec<u32>,
    stored: Stored,
    range: Range<usize>,
}

#[derive(Debug, Clone, PartialEq)]
enum Stored {
    Float32,
    Float16,
    /// Integers with a single scale, or with one scale per index of a dimension.
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
    /// Returns the constant's values as `f32`, whatever their stored type.
    pub(super) fn values(&self, bytes: &[u8]) -> Vec<f32> {
        let data = &bytes[self.range.clone()];
        match &self.stored {
            Stored::Float32 => {
                data.as_chunks::<4>().0.iter().map(|&four| f32::from_le_bytes(four)).collect()
            }
            Stored::Float16 => {
                let pairs = data.as_chunks::<2>().0.iter();
                pairs.map(|&pair| f16::from_le_bytes(pair).to_f32()).collect()
            }
            Stored::Int8(scales, dimension) => scaled(&self.shape, data, scales, *dimension),
        }
    }

    /// Overwrites the values of a floating-point constant, in its own precision.
    pub(super) fn overwrite(&self, bytes: &mut [u8], values: &[f32]) -> Result<(), TfliteError> {
        let data = &mut bytes[self.range.clone()];
        if self.stored == Stored::Float32 {
            for (four, value) in data.as_chunks_mut::<4>().0.iter_mut().zip(values) {
                *four = value.to_le_bytes();
            }
            return Ok(());
        }
        for (pair, &value) in data.as_chunks_mut::<2>().0.iter_mut().zip(values) {
            let half = f16::from_f32(value); // rounds to nearest, ties to even
            if !half.is_finite() {
                let (name, value) = (self.name.clone(), value.to_string());
                return Err(TfliteError::Range { name, value });
            }
            *pair = half.to_le_bytes();
        }
        Ok(())
    }
}

/// Returns the first subgraph's constants that represent floats, by name.
pub(super) fn constants(bytes: &[u8]) -> Result<BTreeMap<String, Constant>, TfliteError> {
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

/// Finds a convolution's kernel or bias and checks its shape and size.
pub(super) fn find<'a>(
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

/// Reads the scales of an integer tensor. Returns `None` if there are none, if they do not fit `shape`, or if a zero
/// point is not 0, as in activations.
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
