//! Reads a `PyTorch` state dict from either of `PyTorch`'s file formats.

use std::borrow::Cow;

use half::{bf16, f16};

use super::WeightsError;
use super::names::{Names, unwrapped};
use super::pickle::{Id, Pickle, PickleValue, TensorRef};
use crate::model::tensors::{Array, Arrays, Weights};

/// Keys under which trainers store the weights in their checkpoints.
const INNER: [&str; 3] = ["model_state_dict", "state_dict", "model"];

/// A storage's bytes.
pub(super) type Storage<'a> = Result<Cow<'a, [u8]>, WeightsError>;

/// Reads the weights from an unpickled state dict, or from a checkpoint that contains one.
///
/// * `storage`: returns the bytes of the storage with a given key.
pub(super) fn read<'a>(
    pickle: &Pickle<'_>,
    storage: &mut dyn FnMut(&str) -> Storage<'a>,
) -> Result<Weights, WeightsError> {
    let tensors = tensors(pickle)?;
    let names = Names::of(tensors.iter().map(|(name, _)| *name));
    let mut arrays = Arrays::new();
    let mut last: Option<(&str, Cow<'a, [u8]>)> = None;
    for (name, tensor) in tensors {
        let shape = shape(name, tensor)?;
        let values = if names.want(name, &shape) && !arrays.contains_key(name) {
            let bytes = match last.take() {
                Some((key, bytes)) if key == tensor.storage => bytes,
                _ => storage(tensor.storage)?,
            };
            let values = gather(tensor, &shape, &bytes);
            last = Some((tensor.storage, bytes));
            values.ok_or_else(|| WeightsError::Extent(name.to_owned()))?
        } else {
            Vec::new()
        };
        arrays.entry(name.to_owned()).or_insert(Array { shape, values });
    }
    Ok(names.assemble(arrays)?)
}

/// Returns every tensor of the state dict with its unwrapped name.
fn tensors<'p, 'a>(
    pickle: &'p Pickle<'a>,
) -> Result<Vec<(&'a str, &'p TensorRef<'a>)>, WeightsError> {
    let root = pickle.root();
    let is_dict = |id: &Id| matches!(pickle.value(*id), PickleValue::Dict(_));
    let inner = INNER.iter().find_map(|key| pickle.get(root, key).filter(is_dict));
    let PickleValue::Dict(items) = pickle.value(inner.unwrap_or(root)) else {
        return Err(WeightsError::NoStateDict);
    };
    let tensor = |&(name, value): &(Id, Id)| match (pickle.value(name), pickle.value(value)) {
        (&PickleValue::Text(name), PickleValue::Tensor(tensor)) => Some((unwrapped(name), tensor)),
        _ => None,
    };
    Ok(items.iter().filter_map(tensor).collect())
}

fn shape(name: &str, tensor: &TensorRef<'_>) -> Result<Vec<usize>, WeightsError> {
    let lengths: Result<Vec<usize>, _> = tensor.shape.iter().map(|&n| usize::try_from(n)).collect();
    lengths.map_err(|_| WeightsError::Extent(name.to_owned()))
}

/// Copies a tensor's values out of its storage. Returns `None` if the strides lead outside the storage or the element
/// type is not supported.
fn gather(tensor: &TensorRef<'_>, shape: &[usize], storage: &[u8]) -> Option<Vec<f32>> {
    if tensor.stride.len() != shape.len() {
        return None;
    }
    let at = |mut index: usize| {
        let mut position = tensor.offset;
        for (&length, &stride) in shape.iter().zip(&tensor.stride).rev() {
            let step = i64::try_from(index % length).ok()?.checked_mul(stride)?;
            position = position.checked_add(step)?;
            index /= length;
        }
        element(tensor.storage_type, storage, usize::try_from(position).ok()?)
    };
    (0..shape.iter().product()).map(at).collect()
}

fn element(kind: &str, storage: &[u8], index: usize) -> Option<f32> {
    match kind {
        "torch.FloatStorage" => storage.as_chunks().0.get(index).map(|&b| f32::from_le_bytes(b)),
        "torch.HalfStorage" => {
            storage.as_chunks().0.get(index).map(|&b| f16::from_le_bytes(b).to_f32())
        }
        "torch.BFloat16Storage" => {
            storage.as_chunks().0.get(index).map(|&b| bf16::from_le_bytes(b).to_f32())
        }
        "torch.DoubleStorage" => {
            storage.as_chunks().0.get(index).map(|&b| f64::from_le_bytes(b) as f32)
        }
        _ => None,
    }
}

/// Returns the bytes per element of a storage type, or `None` if `kind` is not a storage type.
pub(super) fn element_bytes(kind: &str) -> Option<usize> {
    match kind.strip_prefix("torch.")?.strip_suffix("Storage")? {
        "Double" | "Long" => Some(8),
        "Float" | "Int" => Some(4),
        "Half" | "BFloat16" | "Short" => Some(2),
        "Char" | "Byte" | "Bool" => Some(1),
        _ => None,
    }
}
