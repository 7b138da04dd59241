//! The flat vectors of a checkpoint.

use safetensors::tensor::{Dtype, TensorView};

use crate::train::engine::EngineState;

/// A flat vector of a checkpoint.
pub(super) enum Vector<'a> {
    Single(&'a mut Vec<f32>),
    Double(&'a mut Vec<f64>),
}

/// Returns the flat vectors with their names.
pub(super) fn vectors<'a>(
    engine: &'a mut EngineState,
    best: &'a mut Vec<f32>,
    last: &'a mut Vec<f32>,
) -> [(&'static str, Vector<'a>); 9] {
    [
        ("parameters", Vector::Single(&mut engine.parameters)),
        ("buffers", Vector::Single(&mut engine.buffers)),
        ("average.parameters", Vector::Single(&mut engine.average_parameters)),
        ("average.buffers", Vector::Single(&mut engine.average_buffers)),
        ("adam.mean", Vector::Single(&mut engine.mean)),
        ("adam.variance", Vector::Single(&mut engine.variance)),
        ("epoch.diagnostics", Vector::Double(&mut engine.diagnostics)),
        ("best", Vector::Single(best)),
        ("last", Vector::Single(last)),
    ]
}

impl Vector<'_> {
    pub(super) fn dtype(&self) -> Dtype {
        match self {
            Self::Single(_) => Dtype::F32,
            Self::Double(_) => Dtype::F64,
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Single(values) => values.len(),
            Self::Double(values) => values.len(),
        }
    }

    /// Returns the values as little-endian bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Single(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::Double(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        }
    }

    /// Replaces the values with those in the file.
    pub(super) fn read(&mut self, name: &str, view: &TensorView<'_>) -> Result<(), String> {
        if view.dtype() != self.dtype() || view.shape() != [self.len()] {
            let (shape, expected) = (view.shape(), self.len());
            return Err(format!("{name} has shape {shape:?} instead of [{expected}]"));
        }
        match self {
            Self::Single(values) => **values = singles(view.data()),
            Self::Double(values) => {
                let eights = view.data().as_chunks().0.iter();
                **values = eights.map(|&eight| f64::from_le_bytes(eight)).collect();
            }
        }
        Ok(())
    }
}

/// Decodes little-endian single-precision values.
pub(super) fn singles(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect()
}
