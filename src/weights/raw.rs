//! A `.safetensors` file's tensors, before their names mean anything.

use half::{bf16, f16};
use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::WeightsError;

/// A checkpoint's header holds a row of metrics per epoch; this is enough for ten thousand.
const MAX_HEADER_BYTES: u64 = 8 << 20;

/// Opens the file, unless its header is too large.
pub(super) fn open(bytes: &[u8]) -> Result<SafeTensors<'_>, WeightsError> {
    let length = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
    if length > MAX_HEADER_BYTES {
        return Err(SafeTensorError::HeaderTooLarge.into());
    }
    Ok(SafeTensors::deserialize(bytes)?)
}

/// A tensor's values, whatever their precision.
pub(super) fn values(name: &str, view: &TensorView<'_>) -> Result<Vec<f32>, WeightsError> {
    let data = view.data();
    Ok(match view.dtype() {
        Dtype::F32 => data.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect(),
        Dtype::F16 => {
            data.as_chunks().0.iter().map(|&two| f16::from_le_bytes(two).to_f32()).collect()
        }
        Dtype::BF16 => {
            data.as_chunks().0.iter().map(|&two| bf16::from_le_bytes(two).to_f32()).collect()
        }
        other => {
            return Err(WeightsError::Dtype { name: name.into(), found: format!("{other:?}") });
        }
    })
}
