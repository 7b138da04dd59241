//! Reads pickles with the few opcodes that state dicts use. Nothing is executed: a global is just a name, and only the
//! names that state dicts need are accepted.
//!
//! All values are in one list and refer to each other by index. Nested, shared and cyclic values therefore need no
//! extra memory, and dropping them needs no recursion.
//!
//! Source: Python's `pickletools.py`.

mod machine;

use std::collections::HashMap;

use self::machine::Machine;

/// A pickle's values.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    values: Vec<PickleValue<'a>>,
    root: Id,
}

/// The index of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(usize);

/// A value in a pickle.
#[derive(Debug)]
pub(super) enum PickleValue<'a> {
    /// A value that tensors do not need, such as `None` or a float.
    Other,
    Bool(bool),
    List(Vec<Id>),
    Int(i64),
    Text(&'a str),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A global's `module.name`.
    Global(&'static str),
    /// A storage's type and key.
    Storage(&'static str, &'a str),
    Tensor(TensorRef<'a>),
}

/// A tensor as the pickle describes it.
#[derive(Debug)]
pub(super) struct TensorRef<'a> {
    /// The storage's type, such as `torch.FloatStorage`.
    pub(super) storage_type: &'static str,
    /// The storage's key.
    pub(super) storage: &'a str,
    pub(super) offset: i64,
    pub(super) shape: Vec<i64>,
    pub(super) stride: Vec<i64>,
}

/// The reason why a pickle is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PickleError {
    /// The pickle ends too early, or its stack is inconsistent.
    #[error("the pickle is damaged at byte {0}")]
    Damaged(usize),
    /// The pickle contains something that no state dict needs.
    #[error("the pickle is rejected because it contains {0}, which no state dict needs")]
    Refused(String),
}

type Result<T> = std::result::Result<T, PickleError>;

/// Maximum number of values. This network's checkpoints have a few thousand, including optimizer state and history.
const MAX_VALUES: usize = 1 << 18;

/// Reads a pickle.
pub(super) fn load(bytes: &[u8]) -> Result<Pickle<'_>> {
    Ok(load_first(bytes)?.0)
}

/// Reads the first of several pickles. Also returns the offset of the next one.
pub(super) fn load_first(bytes: &[u8]) -> Result<(Pickle<'_>, usize)> {
    let mut machine = Machine::new(bytes);
    loop {
        match machine.byte()? {
            b'.' => {
                let root = machine.pop()?;
                return Ok((Pickle { values: machine.values, root }, machine.at));
            }
            opcode => machine.step(opcode)?,
        }
        if machine.values.len() > MAX_VALUES || machine.stack.len() > MAX_VALUES {
            return Err(PickleError::Refused(format!("more than {MAX_VALUES} values")));
        }
    }
}

impl<'a> Pickle<'a> {
    /// Returns the pickle's top-level value.
    pub(super) fn root(&self) -> Id {
        self.root
    }

    /// Returns the type of each storage that the pickle refers to, by key.
    pub(super) fn storages(&self) -> HashMap<&'a str, &'static str> {
        let storage = |value: &PickleValue<'a>| match *value {
            PickleValue::Storage(kind, key) => Some((key, kind)),
            _ => None,
        };
        self.values.iter().filter_map(storage).collect()
    }

    /// Returns one of the pickle's values.
    pub(super) fn value(&self, id: Id) -> &PickleValue<'a> {
        &self.values[id.0]
    }

    /// Returns an entry of a dict, or `None` if the key is missing or `dict` is not a dict.
    pub(super) fn get(&self, dict: Id, key: &str) -> Option<Id> {
        let PickleValue::Dict(items) = self.value(dict) else { return None };
        let is_key = |&&(name, _): &&(Id, Id)| matches!(self.value(name), PickleValue::Text(text) if *text == key);
        items.iter().find(is_key).map(|&(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_dict_that_is_filled_later_is_filled_everywhere() {
        // x = {'a': y}; y['c'] = 7; x['b'] = y
        let pickle =
            load(b"\x80\x02}q\0X\x01\0\0\0a}q\x01sX\x01\0\0\0bh\x01X\x01\0\0\0cK\x07ss.").unwrap();
        let inner = pickle.get(pickle.root(), "a").unwrap();
        let seven = pickle.get(inner, "c").unwrap();
        assert!(matches!(pickle.value(seven), PickleValue::Int(7)));
        assert_eq!(pickle.get(pickle.root(), "b"), Some(inner));
    }

    #[test]
    fn deep_nesting_and_cycles_are_harmless() {
        let deep = [b"\x80\x02)".as_slice(), &vec![0x85; 200_000], b"."].concat();
        assert_eq!(load(&deep).unwrap().values.len(), 200_001);
        let deeper = [b"\x80\x02)".as_slice(), &vec![0x85; 1_000_000], b"."].concat();
        let error = load(&deeper).unwrap_err().to_string();
        assert!(error.contains("more than 262144 values"), "{error}");

        let knot = load(b"\x80\x02}q\0X\x01\0\0\0ah\0s.").unwrap(); // x = {}; x['a'] = x
        assert_eq!(knot.get(knot.root(), "a"), Some(knot.root()));
    }

    #[test]
    fn malformed_pickles_are_reported_as_damaged() {
        for bytes in
            ["\u{85}.", "(\u{85}.", "t.", "K", "X", "h\0.", "cposix", "u.", "(u.", "R.", "."]
        {
            let bytes: Vec<u8> = bytes.chars().map(|char| char as u8).collect();
            assert!(matches!(load(&bytes), Err(PickleError::Damaged(_))), "{bytes:?}");
        }
    }
}
