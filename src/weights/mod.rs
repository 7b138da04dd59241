//! Weights in files: `.tflite`, `.pth`, `.safetensors`.

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

/// A file that weights cannot be read from, or written to.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file has none of the formats.
    #[error("not a weights file: expected .tflite, .safetensors, or .pth as torch.save writes it")]
    Unknown,
    /// A `.pth` ends before a storage's numbers do, or names it nowhere.
    #[error("the .pth file is cut off or damaged at storage {0:?}")]
    Truncated(String),
    /// A `.tflite` is invalid.
    #[error(transparent)]
    Tflite(#[from] tflite::TfliteError),
    /// A `.safetensors` is invalid.
    #[error("the .safetensors file is damaged")]
    Safetensors(#[from] ::safetensors::SafeTensorError),
    /// A `.pth`'s zip is invalid.
    #[error("the .pth file is damaged")]
    Zip(#[from] zip::result::ZipError),
    /// A `.pth`'s entry cannot be read.
    #[error("the .pth file is damaged")]
    Read(#[from] std::io::Error),
    /// A `.pth` from a machine of the other byte order.
    #[error("the .pth file is in big-endian byte order; save it again on a little-endian machine")]
    BigEndian,
    /// A zip that is no `.pth`.
    #[error("the zip holds no data.pkl, so it is not a .pth file")]
    NoPickle,
    /// A `.pth`'s pickle is invalid.
    #[error(transparent)]
    Pickle(#[from] PickleError),
    /// A `.pth` file of something else.
    #[error("the .pth file holds no state dict: save model.state_dict() rather than the model")]
    NoStateDict,
    /// An entry is too large to be of this network.
    #[error("{0} in the .pth file is larger than this network needs")]
    TooLarge(String),
    /// A tensor reaches beyond its storage.
    #[error("tensor {0} reaches beyond its storage, or has an element type that is not supported")]
    Extent(String),
    /// A tensor is not in floating point.
    #[error("tensor {name} is in {found} where F32, F16 or BF16 is needed")]
    Dtype {
        /// Its name.
        name: String,
        /// Its element type.
        found: String,
    },
    /// The weights are of another network.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

/// Reads weights from a file; its content decides the format.
///
/// # Errors
///
/// [`WeightsError`]; hostile bytes never panic.
pub fn load(bytes: &[u8]) -> Result<Weights, WeightsError> {
    match bytes {
        _ if tflite::is_tflite(bytes) => Ok(tflite::read(bytes)?),
        [b'P', b'K', 3, 4, ..] => pth::read(bytes),
        _ if legacy::is_legacy(bytes) => legacy::read(bytes),
        // Eight bytes of length, then JSON.
        [_, _, _, _, _, _, _, _, b'{', ..] => safetensors::read(bytes),
        _ => Err(WeightsError::Unknown),
    }
}

/// The file name's ending that fits these bytes, which [`load`] reads.
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
    fn the_same_weights_and_metadata_give_the_same_safetensors() {
        let texts = || (0..8).map(|key| (format!("key{key}"), "a \"text\"".to_owned())).collect();
        let write = || safetensors::write(tflite::mediapipe(), &texts()).unwrap();
        let first = write();
        assert!((0..4).all(|_| write() == first));
        assert_eq!(&load(&first).unwrap(), tflite::mediapipe());
    }

    #[test]
    fn damaged_safetensors_are_errors() {
        let bytes = safetensors::write(tflite::mediapipe(), &BTreeMap::new()).unwrap();
        assert!(load(&bytes[..bytes.len() - 1]).is_err());
        let mut huge = bytes;
        huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(load(&huge).is_err());
    }
}
