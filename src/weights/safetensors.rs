//! Reads and writes `.safetensors`: names, shapes and values, without executable content.

use std::collections::BTreeMap;

use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, TensorView, serialize};

use super::names::{Names, unwrapped};
use super::raw::{open, values};
use super::{WeightsError, checkpoint};
use crate::model::tensors::{Array, Arrays, Weights};

/// Returns the file's bytes, with `metadata` in the header.
///
/// # Errors
///
/// [`WeightsError::Safetensors`], which these shapes never cause.
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
    let mut file = serialize(views, Some(texts))?;
    sort_header(&mut file);
    Ok(file)
}

/// Sorts the header's keys. The library writes the metadata in a hash map's random order, so equal weights would
/// otherwise give different bytes.
fn sort_header(file: &mut [u8]) {
    let Some((length, rest)) = file.split_first_chunk_mut::<8>() else { return };
    let Some(header) = rest.get_mut(..u64::from_le_bytes(*length) as usize) else { return };
    let Ok(sorted) = serde_json::from_slice::<serde_json::Value>(header) else { return };
    let sorted = sorted.to_string();
    if sorted.len() <= header.len() {
        header.fill(b' ');
        header[..sorted.len()].copy_from_slice(sorted.as_bytes());
    }
}

/// Reads the network's weights, as 32-bit or 16-bit floats, or the averaged weights of a training checkpoint.
///
/// # Errors
///
/// [`WeightsError`] if the file is damaged, has an unsupported element type or belongs to another network.
pub fn read(bytes: &[u8]) -> Result<Weights, WeightsError> {
    let file = open(bytes)?;
    if checkpoint::is_checkpoint(&file) {
        return checkpoint::read(&file);
    }
    let tensors: Vec<_> = file.iter().collect();
    let names = Names::of(tensors.iter().map(|(name, _)| unwrapped(name)));
    let mut arrays = Arrays::new();
    for (name, view) in &tensors {
        let name = unwrapped(name);
        let wanted = names.want(name, view.shape());
        let values = if wanted { values(name, view)? } else { Vec::new() };
        let array = Array { shape: view.shape().to_vec(), values };
        arrays.entry(name.to_owned()).or_insert(array);
    }
    Ok(names.assemble(arrays)?)
}
