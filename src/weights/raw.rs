//! Reads tensors from a `.safetensors` file, whatever their names.

use half::{bf16, f16};
use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::WeightsError;

/// Size limit of the header. A checkpoint's header has a row of metrics per epoch, so this allows ten thousand epochs.
const MAX_HEADER_BYTES: u64 = 8 << 20;

/// Parses the file, or fails if its header is too large.
pub(super) fn open(bytes: &[u8]) -> Result<SafeTensors<'_>, WeightsError> {
    let length = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
    if length > MAX_HEADER_BYTES {
        return Err(SafeTensorError::HeaderTooLarge.into());
    }
    Ok(SafeTensors::deserialize(bytes)?)
}

/// Returns a tensor's values, converted from F16 or BF16 if necessary.
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
