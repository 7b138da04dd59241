//! `.safetensors`: names, shapes and values, and nothing that could run.

use std::collections::BTreeMap;

use half::f16;
use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use super::WeightsError;
use crate::model::tensors::{Array, Arrays, Weights};

/// The file's bytes, with `metadata` as its texts.
///
/// # Errors
///
/// [`WeightsError::Safetensors`], which these shapes do not cause.
pub fn write(
    weights: &Weights,
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>, WeightsError> {
    let bytes = |array: &Array| -> Vec<u8> {
        array.values.iter().flat_map(|value| value.to_le_bytes()).collect()
    };
    let arrays: Vec<_> =
        weights.arrays().iter().map(|(name, array)| (name, &array.shape, bytes(array))).collect();
    let views = arrays
        .iter()
        .map(|(name, shape, bytes)| {
            Ok((*name, TensorView::new(Dtype::F32, (*shape).clone(), bytes)?))
        })
        .collect::<Result<Vec<_>, SafeTensorError>>()?;
    let texts = metadata.clone().into_iter().collect();
    Ok(serialize(views, Some(texts))?)
}

/// Reads the network's weights, in 32 or 16 bits.
///
/// # Errors
///
/// [`WeightsError`] when it is damaged, of another type or of another network.
pub fn read(bytes: &[u8]) -> Result<Weights, WeightsError> {
    let file = SafeTensors::deserialize(bytes)?;
    let mut arrays = Arrays::new();
    for (name, view) in file.iter() {
        let data = view.data();
        let values = match view.dtype() {
            Dtype::F32 => data.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect(),
            Dtype::F16 => {
                data.as_chunks().0.iter().map(|&two| f16::from_le_bytes(two).to_f32()).collect()
            }
            other => {
                return Err(WeightsError::Dtype { name: name.into(), found: format!("{other:?}") });
            }
        };
        arrays.insert(name.to_owned(), Array { shape: view.shape().to_vec(), values });
    }
    Ok(Weights::new(arrays)?)
}
