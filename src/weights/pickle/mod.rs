//! The few pickle opcodes that state dicts use. Nothing is executed: a global is only a name, and only names that
//! tensors need are known.
//!
//! Values lie in one list and refer to each other by number. However they are nested, shared or
//! tied into loops, they take no more room than the file gave them, and no recursion to drop.
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

/// Which of the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(usize);

/// One of them.
#[derive(Debug)]
pub(super) enum PickleValue<'a> {
    /// A value that tensors are not made of: `None`, a fraction.
    Other,
    Bool(bool),
    List(Vec<Id>),
    Int(i64),
    Text(&'a str),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// `module.name`.
    Global(&'static str),
    /// Where tensors' numbers lie: element type, file name.
    Storage(&'static str, &'a str),
    Tensor(TensorRef<'a>),
}

/// A tensor as the pickle describes it.
#[derive(Debug)]
pub(super) struct TensorRef<'a> {
    /// Such as `torch.FloatStorage`.
    pub(super) storage_type: &'static str,
    /// The file's name.
    pub(super) storage: &'a str,
    pub(super) offset: i64,
    pub(super) shape: Vec<i64>,
    pub(super) stride: Vec<i64>,
}

/// Why a pickle is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PickleError {
    /// It ends too early, or its stack is inconsistent.
    #[error("the pickle is damaged at byte {0}")]
    Damaged(usize),
    /// It asks for something that no state dict needs.
    #[error("the pickle asks for {0}, which a state dict does not need; it is refused")]
    Refused(String),
}

type Result<T> = std::result::Result<T, PickleError>;

/// A checkpoint of this network, with its optimizer's state and its history, has some thousands.
const MAX_VALUES: usize = 1 << 18;

/// Reads the one value a pickle holds.
pub(super) fn load(bytes: &[u8]) -> Result<Pickle<'_>> {
    Ok(load_first(bytes)?.0)
}

/// Reads the value of the first of several pickles; also where the next one begins.
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
    /// What the pickle is of.
    pub(super) fn root(&self) -> Id {
        self.root
    }

    /// The element type of each storage that it names, by its key.
    pub(super) fn storages(&self) -> HashMap<&'a str, &'static str> {
        let storage = |value: &PickleValue<'a>| match *value {
            PickleValue::Storage(kind, key) => Some((key, kind)),
            _ => None,
        };
        self.values.iter().filter_map(storage).collect()
    }

    /// One of the pickle's values.
    pub(super) fn value(&self, id: Id) -> &PickleValue<'a> {
        &self.values[id.0]
    }

    /// An entry of a dict; `None` if there is none, or if it is not a dict.
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
    fn a_dict_filled_after_it_was_shared_is_filled_for_all() {
        // x = {'a': y}; y['c'] = 7; x['b'] = y
        let pickle =
            load(b"\x80\x02}q\0X\x01\0\0\0a}q\x01sX\x01\0\0\0bh\x01X\x01\0\0\0cK\x07ss.").unwrap();
        let inner = pickle.get(pickle.root(), "a").unwrap();
        let seven = pickle.get(inner, "c").unwrap();
        assert!(matches!(pickle.value(seven), PickleValue::Int(7)));
        assert_eq!(pickle.get(pickle.root(), "b"), Some(inner));
    }

    #[test]
    fn endless_nesting_and_loops_are_harmless() {
        let deep = [b"\x80\x02)".as_slice(), &vec![0x85; 200_000], b"."].concat();
        assert_eq!(load(&deep).unwrap().values.len(), 200_001);
        let deeper = [b"\x80\x02)".as_slice(), &vec![0x85; 1_000_000], b"."].concat();
        let error = load(&deeper).unwrap_err().to_string();
        assert!(error.contains("more than 262144 values"), "{error}");

        let knot = load(b"\x80\x02}q\0X\x01\0\0\0ah\0s.").unwrap(); // x = {}; x['a'] = x
        assert_eq!(knot.get(knot.root(), "a"), Some(knot.root()));
    }

    #[test]
    fn tuples_and_marks_that_do_not_fit_are_damage() {
        for bytes in
            ["\u{85}.", "(\u{85}.", "t.", "K", "X", "h\0.", "cposix", "u.", "(u.", "R.", "."]
        {
            let bytes: Vec<u8> = bytes.chars().map(|char| char as u8).collect();
            assert!(matches!(load(&bytes), Err(PickleError::Damaged(_))), "{bytes:?}");
        }
    }
}
