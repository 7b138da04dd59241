//! The few pickle opcodes a state dict is made of. Nothing is executed: a global is a name, and
//! only the names that tensors need are understood.
//!
//! Values lie in one list and refer to each other by number. However they are nested, shared or
//! tied into loops, they take no more room than the file gave them, and no recursion to drop.
//!
//! Source: Python's `pickletools.py`.

use std::collections::HashMap;

/// A pickle's values.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    values: Vec<Value<'a>>,
    root: Id,
}

/// Which of the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(usize);

/// One of them.
#[derive(Debug)]
pub(super) enum Value<'a> {
    /// Nothing that tensors are made of: `None`, a fraction.
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
    /// It ends too early, or its stack does not fit.
    #[error("the pickle is damaged at byte {0}")]
    Damaged(usize),
    /// It wants something done that no state dict needs.
    #[error("the pickle asks for {0}, which a state dict does not need; it is refused")]
    Refused(String),
}

type Result<T> = std::result::Result<T, PickleError>;

/// What a state dict's pickle may name.
const GLOBALS: [&str; 18] = [
    "collections.OrderedDict",
    "collections.defaultdict",
    "torch.Size",
    "torch.device",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
    "torch.FloatStorage",
    "torch.HalfStorage",
    "torch.BFloat16Storage",
    "torch.DoubleStorage",
    "torch.LongStorage",
    "torch.IntStorage",
    "torch.ShortStorage",
    "torch.CharStorage",
    "torch.ByteStorage",
    "torch.BoolStorage",
    "builtins.dict",
];

/// No tensor of this network has more than four.
const MAX_DIMENSIONS: usize = 8;
/// A checkpoint of this network, with its optimizer's state and its history, has some thousands.
const MAX_VALUES: usize = 1 << 18;

/// Reads the one value a pickle holds.
pub(super) fn load(bytes: &[u8]) -> Result<Pickle<'_>> {
    Ok(load_first(bytes)?.0)
}

/// Reads the value of the first of several pickles; also where the next one begins.
pub(super) fn load_first(bytes: &[u8]) -> Result<(Pickle<'_>, usize)> {
    let mut machine = Machine {
        bytes,
        at: 0,
        values: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
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
        let storage = |value: &Value<'a>| match *value {
            Value::Storage(kind, key) => Some((key, kind)),
            _ => None,
        };
        self.values.iter().filter_map(storage).collect()
    }

    /// One of its values.
    pub(super) fn value(&self, id: Id) -> &Value<'a> {
        &self.values[id.0]
    }

    /// An entry of a dict; `None` where there is none, or where it is no dict.
    pub(super) fn get(&self, dict: Id, key: &str) -> Option<Id> {
        let Value::Dict(items) = self.value(dict) else { return None };
        let is_key =
            |&&(name, _): &&(Id, Id)| matches!(self.value(name), Value::Text(text) if *text == key);
        items.iter().find(is_key).map(|&(_, value)| value)
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value<'a>>,
    stack: Vec<Id>,
    /// How high the stack was at each open mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    fn step(&mut self, opcode: u8) -> Result<()> {
        let value = match opcode {
            0x80 => return self.take(1).map(drop), // PROTO
            b'(' => {
                self.marks.push(self.stack.len());
                return Ok(());
            }
            b'N' => Value::Other,
            0x88 | 0x89 => Value::Bool(opcode == 0x88), // NEWTRUE, NEWFALSE
            b']' => Value::List(Vec::new()),
            b'G' => self.take(8).map(|_| Value::Other)?, // BINFLOAT
            b'K' => Value::Int(i64::from(self.byte()?)),
            b'M' => Value::Int(i64::from(u16::from_le_bytes(self.array()?))),
            b'J' => Value::Int(i64::from(i32::from_le_bytes(self.array()?))),
            0x8a => self.long()?,
            b'X' => {
                let length = u32::from_le_bytes(self.array()?) as usize;
                Value::Text(self.text(length)?)
            }
            0x8c => {
                let length = usize::from(self.byte()?);
                Value::Text(self.text(length)?)
            }
            b')' => Value::Tuple(Vec::new()),
            b'}' => Value::Dict(Vec::new()),
            b't' => Value::Tuple(self.since_mark()?),
            0x85..=0x87 => {
                let mut items = (0x84..opcode).map(|_| self.pop()).collect::<Result<Vec<_>>>()?;
                items.reverse();
                Value::Tuple(items)
            }
            b'c' => self.global()?,
            b'Q' => self.storage()?,
            b'R' => return self.reduce(),
            b'q' | b'r' => return self.remember(opcode),
            b'h' | b'j' => return self.recall(opcode),
            b'u' | b's' => return self.set_items(opcode),
            b'e' | b'a' => return self.append(opcode),
            b'b' => return self.pop().map(drop), // BUILD: attributes nobody reads
            other => return Err(PickleError::Refused(format!("opcode 0x{other:02x}"))),
        };
        self.push(value);
        Ok(())
    }

    /// A call. Only of what tensors are made with, and nothing is called.
    fn reduce(&mut self) -> Result<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let (Value::Tuple(arguments), Value::Global(function)) =
            (self.value(arguments), self.value(function))
        else {
            return Err(self.damaged());
        };
        let value = match *function {
            "collections.OrderedDict" | "collections.defaultdict" => Value::Dict(Vec::new()),
            "torch.Size" | "torch.device" => Value::Other,
            "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2" => {
                self.tensor(arguments)?
            }
            "torch._utils._rebuild_parameter" => {
                let &tensor = arguments.first().ok_or(self.damaged())?;
                self.stack.push(tensor);
                return Ok(());
            }
            other => return Err(PickleError::Refused(format!("a call of {other}"))),
        };
        self.push(value);
        Ok(())
    }

    /// `(storage, offset, shape, stride, …)`.
    fn tensor(&self, arguments: &[Id]) -> Result<Value<'a>> {
        let &[storage, offset, shape, stride, ..] = arguments else { return Err(self.damaged()) };
        let (&Value::Storage(storage_type, storage), &Value::Int(offset)) =
            (self.value(storage), self.value(offset))
        else {
            return Err(self.damaged());
        };
        let (shape, stride) = (self.numbers(shape)?, self.numbers(stride)?);
        Ok(Value::Tensor(TensorRef { storage_type, storage, offset, shape, stride }))
    }

    /// `("storage", torch.FloatStorage, "0", "cpu", 1234)`.
    fn storage(&mut self) -> Result<Value<'a>> {
        let id = self.pop()?;
        let Value::Tuple(parts) = self.value(id) else { return Err(self.damaged()) };
        let &[_, kind, key, ..] = &parts[..] else { return Err(self.damaged()) };
        match (self.value(kind), self.value(key)) {
            (&Value::Global(kind), &Value::Text(key)) => Ok(Value::Storage(kind, key)),
            _ => Err(self.damaged()),
        }
    }

    fn global(&mut self) -> Result<Value<'a>> {
        let global = format!("{}.{}", self.line()?, self.line()?);
        let known = GLOBALS.into_iter().find(|&known| known == global);
        known.map(Value::Global).ok_or(PickleError::Refused(global))
    }

    fn set_items(&mut self, opcode: u8) -> Result<()> {
        let items = if opcode == b'u' {
            self.since_mark()?
        } else {
            let value = self.pop()?;
            vec![self.pop()?, value]
        };
        let damaged = self.damaged();
        let &Id(dict) = self.stack.last().ok_or(damaged.clone())?;
        let Value::Dict(dict) = &mut self.values[dict] else { return Err(damaged) };
        dict.extend(items.as_chunks().0.iter().map(|&[key, value]| (key, value)));
        Ok(())
    }

    fn append(&mut self, opcode: u8) -> Result<()> {
        let items = if opcode == b'e' { self.since_mark()? } else { vec![self.pop()?] };
        let damaged = self.damaged();
        let &Id(list) = self.stack.last().ok_or(damaged.clone())?;
        let Value::List(list) = &mut self.values[list] else { return Err(damaged) };
        list.extend(items);
        Ok(())
    }

    fn remember(&mut self, opcode: u8) -> Result<()> {
        let key = self.key(opcode)?;
        let &value = self.stack.last().ok_or(self.damaged())?;
        self.memo.insert(key, value);
        Ok(())
    }

    fn recall(&mut self, opcode: u8) -> Result<()> {
        let key = self.key(opcode)?;
        let &value = self.memo.get(&key).ok_or(self.damaged())?;
        self.stack.push(value);
        Ok(())
    }

    fn key(&mut self, opcode: u8) -> Result<u32> {
        match opcode {
            b'q' | b'h' => Ok(u32::from(self.byte()?)),
            _ => Ok(u32::from_le_bytes(self.array()?)),
        }
    }

    fn long(&mut self) -> Result<Value<'a>> {
        let length = usize::from(self.byte()?);
        if length > 8 {
            return Err(PickleError::Refused("an integer of more than 64 bits".to_owned()));
        }
        let bytes = self.take(length)?;
        let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
        let mut whole = [if negative { 0xff } else { 0 }; 8];
        whole[..length].copy_from_slice(bytes);
        Ok(Value::Int(i64::from_le_bytes(whole)))
    }

    fn numbers(&self, tuple: Id) -> Result<Vec<i64>> {
        let Value::Tuple(items) = self.value(tuple) else { return Err(self.damaged()) };
        if items.len() > MAX_DIMENSIONS {
            return Err(PickleError::Refused(format!("a tensor of {} dimensions", items.len())));
        }
        let number = |&id: &Id| match self.value(id) {
            Value::Int(number) => Ok(*number),
            _ => Err(self.damaged()),
        };
        items.iter().map(number).collect()
    }

    fn value(&self, id: Id) -> &Value<'a> {
        &self.values[id.0]
    }

    fn push(&mut self, value: Value<'a>) {
        self.stack.push(Id(self.values.len()));
        self.values.push(value);
    }

    fn pop(&mut self) -> Result<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let top = if self.stack.len() > floor { self.stack.pop() } else { None };
        top.ok_or(self.damaged())
    }

    fn since_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().ok_or(self.damaged())?;
        Ok(self.stack.split_off(mark))
    }

    fn line(&mut self) -> Result<&'a str> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n').ok_or(self.damaged())?;
        let line = self.text(length)?;
        self.at += 1;
        Ok(line)
    }

    fn text(&mut self, length: usize) -> Result<&'a str> {
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map_err(|_| self.damaged())
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(length).ok_or(self.damaged())?;
        let taken = self.bytes.get(self.at..end).ok_or(self.damaged())?;
        self.at = end;
        Ok(taken)
    }

    fn damaged(&self) -> PickleError {
        PickleError::Damaged(self.at)
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
        assert!(matches!(pickle.value(seven), Value::Int(7)));
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
