//! The few pickle opcodes a state dict is made of. Nothing is executed: a global is a name, and
//! only the names that tensors need are understood.
//!
//! Source: Python's `pickletools.py`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// A value of the pickle.
#[derive(Debug, Clone)]
pub(super) enum Value {
    None,
    Bool,
    Int(i64),
    Float,
    Text(Rc<str>),
    Tuple(Rc<Vec<Value>>),
    List,
    Dict(Rc<RefCell<Vec<(Value, Value)>>>),
    /// `module.name`.
    Global(Rc<str>),
    /// Where a tensor's numbers lie: element type, file name, number of elements.
    Storage(Rc<str>, Rc<str>),
    Tensor(Rc<TensorRef>),
    Mark,
}

/// A tensor as the pickle describes it.
#[derive(Debug)]
pub(super) struct TensorRef {
    pub(super) storage_type: Rc<str>,
    pub(super) storage: Rc<str>,
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

/// More values than any state dict of this network has.
const MAX_VALUES: usize = 100_000;

/// Reads the one value a pickle holds.
pub(super) fn load(bytes: &[u8]) -> Result<Value> {
    let mut machine = Machine { bytes, at: 0, stack: Vec::new(), memo: HashMap::new() };
    loop {
        let opcode = machine.byte()?;
        if opcode == b'.' {
            return machine.pop();
        }
        machine.step(opcode)?;
        if machine.stack.len() + machine.memo.len() > MAX_VALUES {
            return Err(PickleError::Refused(format!("more than {MAX_VALUES} values")));
        }
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    memo: HashMap<u32, Value>,
}

impl<'a> Machine<'a> {
    fn step(&mut self, opcode: u8) -> Result<()> {
        let value = match opcode {
            0x80 => return self.take(1).map(drop), // PROTO
            b'(' => Value::Mark,
            b'N' => Value::None,
            0x88 | 0x89 => Value::Bool,
            b'K' => Value::Int(i64::from(self.byte()?)),
            b'M' => Value::Int(i64::from(u16::from_le_bytes(self.array()?))),
            b'J' => Value::Int(i64::from(i32::from_le_bytes(self.array()?))),
            0x8a => self.long()?,
            b'G' => self.take(8).map(|_| Value::Float)?,
            b'X' => {
                let length = u32::from_le_bytes(self.array()?) as usize;
                Value::Text(self.text(length)?)
            }
            0x8c => {
                let length = usize::from(self.byte()?);
                Value::Text(self.text(length)?)
            }
            b')' => Value::Tuple(Rc::default()),
            b']' => Value::List,
            b'}' => Value::Dict(Rc::default()),
            b't' => Value::Tuple(Rc::new(self.since_mark()?)),
            0x85..=0x87 => {
                let count = usize::from(opcode - 0x84);
                let from = self.stack.len().checked_sub(count).ok_or(self.damaged())?;
                Value::Tuple(Rc::new(self.stack.split_off(from)))
            }
            b'c' => Value::Global(self.global()?),
            b'Q' => {
                let id = self.pop()?;
                self.storage(&id)?
            }
            b'R' => self.reduce()?,
            b'q' | b'r' => return self.remember(opcode),
            b'h' | b'j' => {
                let key = self.key(opcode)?;
                self.memo.get(&key).cloned().ok_or(self.damaged())?
            }
            b'u' | b's' => return self.set_items(opcode),
            b'e' => return self.since_mark().map(drop), // APPENDS to a list nobody reads
            b'a' | b'b' => return self.pop().map(drop), // APPEND, BUILD: attributes nobody reads
            other => return Err(PickleError::Refused(format!("opcode 0x{other:02x}"))),
        };
        self.stack.push(value);
        Ok(())
    }

    /// A call. Only of what tensors are made with, and nothing is called.
    fn reduce(&mut self) -> Result<Value> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let (Value::Tuple(arguments), Value::Global(function)) = (arguments, function) else {
            return Err(self.damaged());
        };
        match &*function {
            "collections.OrderedDict" => Ok(Value::Dict(Rc::default())),
            "torch._utils._rebuild_tensor_v2" => self.tensor(&arguments),
            "torch._utils._rebuild_parameter" => arguments.first().cloned().ok_or(self.damaged()),
            other => Err(PickleError::Refused(format!("a call of {other}"))),
        }
    }

    fn tensor(&self, arguments: &[Value]) -> Result<Value> {
        let [Value::Storage(storage_type, storage), Value::Int(offset), shape, stride, ..] = arguments
        else {
            return Err(self.damaged());
        };
        let (storage_type, storage) = (storage_type.clone(), storage.clone());
        let (shape, stride) = (self.numbers(shape)?, self.numbers(stride)?);
        Ok(Value::Tensor(Rc::new(TensorRef { storage_type, storage, offset: *offset, shape, stride })))
    }

    /// `("storage", torch.FloatStorage, "0", "cpu", 1234)`.
    fn storage(&self, id: &Value) -> Result<Value> {
        let Value::Tuple(parts) = id else { return Err(self.damaged()) };
        match &parts[..] {
            [Value::Text(_), Value::Global(kind), Value::Text(key), ..] => {
                Ok(Value::Storage(kind.clone(), key.clone()))
            }
            _ => Err(self.damaged()),
        }
    }

    fn global(&mut self) -> Result<Rc<str>> {
        let (module, name) = (self.line()?, self.line()?);
        let global = format!("{module}.{name}");
        let known = matches!(
            &*global,
            "collections.OrderedDict"
                | "torch._utils._rebuild_tensor_v2"
                | "torch._utils._rebuild_parameter"
                | "torch.FloatStorage"
                | "torch.HalfStorage"
                | "torch.DoubleStorage"
                | "torch.LongStorage"
        );
        if known { Ok(global.into()) } else { Err(PickleError::Refused(global)) }
    }

    fn set_items(&mut self, opcode: u8) -> Result<()> {
        let items = match opcode {
            b'u' => self.since_mark()?,
            _ => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
        };
        let Some(Value::Dict(dict)) = self.stack.last() else { return Err(self.damaged()) };
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            dict.borrow_mut().push((key, value));
        }
        Ok(())
    }

    fn remember(&mut self, opcode: u8) -> Result<()> {
        let key = self.key(opcode)?;
        let value = self.stack.last().cloned().ok_or(self.damaged())?;
        self.memo.insert(key, value);
        Ok(())
    }

    fn key(&mut self, opcode: u8) -> Result<u32> {
        match opcode {
            b'q' | b'h' => Ok(u32::from(self.byte()?)),
            _ => Ok(u32::from_le_bytes(self.array()?)),
        }
    }

    fn long(&mut self) -> Result<Value> {
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

    fn numbers(&self, value: &Value) -> Result<Vec<i64>> {
        let Value::Tuple(values) = value else { return Err(self.damaged()) };
        let number = |value: &Value| match value {
            Value::Int(number) => Ok(*number),
            _ => Err(self.damaged()),
        };
        values.iter().map(number).collect()
    }

    fn since_mark(&mut self) -> Result<Vec<Value>> {
        let mark = self.stack.iter().rposition(|value| matches!(value, Value::Mark));
        let values = self.stack.split_off(mark.ok_or(self.damaged())? + 1);
        self.stack.pop();
        Ok(values)
    }

    fn pop(&mut self) -> Result<Value> {
        self.stack.pop().ok_or(self.damaged())
    }

    fn line(&mut self) -> Result<&'a str> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n').ok_or(self.damaged())?;
        self.at += length + 1;
        std::str::from_utf8(&rest[..length]).map_err(|_| self.damaged())
    }

    fn text(&mut self, length: usize) -> Result<Rc<str>> {
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map(Into::into).map_err(|_| self.damaged())
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
