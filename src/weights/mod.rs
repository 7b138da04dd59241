//! Weight files: reads and writes `.tflite`, `.pth` and `.safetensors`, and writes `.onnx`.

pub mod checkpoint;
pub mod export;
mod legacy;
mod names;
pub mod onnx;
mod pickle;
pub mod pth;
mod raw;
pub mod safetensors;
mod state_dict;
pub mod tflite;

use crate::model::tensors::{LayoutError, Weights};

pub use self::pickle::PickleError;

/// The reason why weights cannot be read from or written to a file.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file is not in a supported format.
    #[error("not a weights file: expected .tflite, .safetensors, or a .pth written by torch.save")]
    Unknown,
    /// A `.pth` lacks a storage, or ends in the middle of one.
    #[error("the .pth file is truncated or damaged at storage {0:?}")]
    Truncated(String),
    /// The `.tflite` is invalid.
    #[error(transparent)]
    Tflite(#[from] tflite::TfliteError),
    /// The `.safetensors` is invalid.
    #[error("the .safetensors file is damaged")]
    Safetensors(#[from] ::safetensors::SafeTensorError),
    /// The zip container of the `.pth` is invalid.
    #[error("the .pth file is damaged")]
    Zip(#[from] zip::result::ZipError),
    /// An entry in the zip container of the `.pth` cannot be read.
    #[error("the .pth file is damaged")]
    Read(#[from] std::io::Error),
    /// The `.pth` was saved on a big-endian machine.
    #[error("the .pth file is in big-endian byte order; save it again on a little-endian machine")]
    BigEndian,
    /// The zip is not a `.pth`.
    #[error("the zip contains no data.pkl, so it is not a .pth file")]
    NoPickle,
    /// The pickle in the `.pth` is invalid.
    #[error(transparent)]
    Pickle(#[from] PickleError),
    /// The `.pth` contains something other than a state dict.
    #[error("the .pth file contains no state dict: save model.state_dict() instead of the model")]
    NoStateDict,
    /// An entry is too large to belong to this network.
    #[error("{0} in the .pth file is larger than this network needs")]
    TooLarge(String),
    /// A tensor extends beyond its storage, or its element type is not supported.
    #[error("tensor {0} extends beyond its storage or has an unsupported element type")]
    Extent(String),
    /// A tensor's element type is not F32, F16 or BF16.
    #[error("tensor {name} has element type {found} instead of F32, F16 or BF16")]
    Dtype {
        /// The tensor's name.
        name: String,
        /// The tensor's element type.
        found: String,
    },
    /// The weights belong to another network.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

/// Reads weights from a file's bytes. The content determines the format.
///
/// # Errors
///
/// [`WeightsError`] if the bytes are not valid weights. Hostile bytes never cause a panic.
pub fn load(bytes: &[u8]) -> Result<Weights, WeightsError> {
    match bytes {
        _ if tflite::is_tflite(bytes) => Ok(tflite::read(bytes)?),
        [b'P', b'K', 3, 4, ..] => pth::read(bytes),
        _ if legacy::is_legacy(bytes) => legacy::read(bytes),
        // The header's length in eight bytes, then the header as JSON.
        [_, _, _, _, _, _, _, _, b'{', ..] => safetensors::read(bytes),
        _ => Err(WeightsError::Unknown),
    }
}

/// Returns the file extension for bytes that [`load`] accepts.
pub fn ending(bytes: &[u8]) -> &'static str {
    match bytes {
        _ if tflite::is_tflite(bytes) => "tflite",
        [b'P', b'K', ..] => "pth",
        _ if legacy::is_legacy(bytes) => "pth",
        _ => "safetensors",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_format_is_recognised_by_its_content() {
        let weights = tflite::mediapipe();
        assert_eq!(&load(tflite::base()).unwrap(), weights);
        assert_eq!(&load(&pth::write(weights).unwrap()).unwrap(), weights);
        let bytes = safetensors::write(weights, &BTreeMap::new()).unwrap();
        assert_eq!(&load(&bytes).unwrap(), weights);
        assert!(matches!(load(b"hello"), Err(WeightsError::Unknown)));
        assert!(matches!(load(b""), Err(WeightsError::Unknown)));
    }

    #[test]
    fn equal_weights_and_metadata_give_identical_safetensors() {
        let texts = || (0..8).map(|key| (format!("key{key}"), "a \"text\"".to_owned())).collect();
        let write = || safetensors::write(tflite::mediapipe(), &texts()).unwrap();
        let first = write();
        assert!((0..4).all(|_| write() == first));
        assert_eq!(&load(&first).unwrap(), tflite::mediapipe());
    }

    #[test]
    fn damaged_safetensors_are_rejected() {
        let bytes = safetensors::write(tflite::mediapipe(), &BTreeMap::new()).unwrap();
        assert!(load(&bytes[..bytes.len() - 1]).is_err());
        let mut huge = bytes;
        huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(load(&huge).is_err());
    }
}
