//! Reads `.pth` files written before `PyTorch` 1.6: five consecutive pickles, then the storages' numbers.
//!
//! The pickles are a magic number, a version, properties of the machine, the state dict, and the storages' keys in
//! file order.
//!
//! Source: `PyTorch`'s `torch/serialization.py`, `_legacy_load`.

use std::borrow::Cow;
use std::collections::HashMap;

use super::WeightsError;
use super::pickle::{self, Pickle, PickleValue};
use super::state_dict::{self, element_bytes};
use crate::model::tensors::Weights;

/// The pickled magic number, `0x1950a86a20f9469cfc6c`.
const MAGIC: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
/// Size limit of a pickle. This network's state dicts and checkpoints have smaller pickles.
const MAX_PICKLE_BYTES: usize = 1 << 20;
/// Maximum number of storages. A checkpoint with optimizer state has fewer.
const MAX_STORAGES: usize = 4096;

/// Whether the bytes start with the magic number.
pub(super) fn is_legacy(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Reads a state dict like [`super::pth::read`].
pub(super) fn read(bytes: &[u8]) -> Result<Weights, WeightsError> {
    let mut rest = bytes.strip_prefix(MAGIC).ok_or(WeightsError::Unknown)?;
    let (_version, machine) = (next(&mut rest)?, next(&mut rest)?);
    let order = machine.get(machine.root(), "little_endian").map(|id| machine.value(id));
    if matches!(order, Some(PickleValue::Bool(false))) {
        return Err(WeightsError::BigEndian);
    }
    let state = next(&mut rest)?;
    let keys = next(&mut rest)?;
    let storages = storages(&state, &keys, rest)?;
    state_dict::read(&state, &mut |key| {
        let bytes = storages.get(key).copied();
        bytes.map(Cow::Borrowed).ok_or_else(|| WeightsError::Truncated(key.to_owned()))
    })
}

fn next<'a>(rest: &mut &'a [u8]) -> Result<Pickle<'a>, WeightsError> {
    let window = &rest[..rest.len().min(MAX_PICKLE_BYTES)];
    let (pickle, length) = pickle::load_first(window)?;
    *rest = &rest[length..];
    Ok(pickle)
}

/// Returns each storage's numbers by key. An eight-byte count precedes each storage's numbers.
fn storages<'a>(
    state: &Pickle<'_>,
    keys: &Pickle<'a>,
    mut rest: &'a [u8],
) -> Result<HashMap<&'a str, &'a [u8]>, WeightsError> {
    let kinds = state.storages();
    let PickleValue::List(list) = keys.value(keys.root()) else {
        return Err(WeightsError::NoStateDict);
    };
    if list.len() > MAX_STORAGES {
        return Err(WeightsError::TooLarge("the list of storages".to_owned()));
    }
    let mut storages = HashMap::new();
    for &key in list {
        let &PickleValue::Text(key) = keys.value(key) else {
            return Err(WeightsError::NoStateDict);
        };
        let truncated = || WeightsError::Truncated(key.to_owned());
        let size = kinds.get(key).and_then(|kind| element_bytes(kind)).ok_or_else(truncated)?;
        let (count, numbers) = rest.split_first_chunk().ok_or_else(truncated)?;
        let length = usize::try_from(u64::from_le_bytes(*count)).ok();
        let length = length.and_then(|count| count.checked_mul(size)).ok_or_else(truncated)?;
        let (numbers, after) = numbers.split_at_checked(length).ok_or_else(truncated)?;
        storages.insert(key, numbers);
        rest = after;
    }
    Ok(storages)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Assembles a file from the pickled state dict, the pickled keys and the storages' numbers.
    fn file(state: &[u8], keys: &[u8], numbers: &[u8]) -> Vec<u8> {
        let machine = b"\x80\x02}X\x0d\0\0\0little_endian\x88s.";
        [MAGIC, b"\x80\x02M\xe9\x03.", machine, state, keys, numbers].concat()
    }

    const STATE: &[u8] = b"\x80\x02}X\x01\0\0\0tctorch._utils\n_rebuild_tensor_v2\n((\
        X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x007X\x03\0\0\0cpuK\x01NtQK\0K\x01\x85K\x01\x85tRs.";
    const KEYS: &[u8] = b"\x80\x02]X\x01\0\0\x007a.";

    #[test]
    fn a_file_of_another_network_is_rejected_with_the_missing_tensors() {
        let numbers = [1u64.to_le_bytes().as_slice(), &1.5f32.to_le_bytes()].concat();
        let error = read(&file(STATE, KEYS, &numbers)).unwrap_err().to_string();
        assert!(error.starts_with("missing tensors: backbone1.0.weight"), "{error}");
    }

    #[test]
    fn the_error_names_a_truncated_or_oversized_storage() {
        for count in [2, 1 << 40, u64::MAX] {
            let numbers = [count.to_le_bytes().as_slice(), &[0; 4]].concat();
            let error = read(&file(STATE, KEYS, &numbers)).unwrap_err();
            assert!(matches!(error, WeightsError::Truncated(key) if key == "7"));
        }
    }

    #[test]
    fn truncated_files_are_rejected() {
        let numbers = [1u64.to_le_bytes().as_slice(), &[0; 4]].concat();
        let whole = file(STATE, KEYS, &numbers);
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_err());
        }
    }
}
