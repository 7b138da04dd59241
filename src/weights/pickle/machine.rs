//! A stack machine that interprets pickles.

use std::collections::HashMap;

use super::{Id, PickleError, PickleValue, Result, TensorRef};

/// Globals that a state dict's pickle may refer to.
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

/// Maximum number of dimensions. This network's tensors have at most four.
const MAX_DIMENSIONS: usize = 8;

/// An interpreter of a pickle's opcodes.
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) values: Vec<PickleValue<'a>>,
    pub(super) stack: Vec<Id>,
    /// Height of the stack at each open mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        }
    }

    pub(super) fn step(&mut self, opcode: u8) -> Result<()> {
        let value = match opcode {
            0x80 => return self.take(1).map(drop), // PROTO
            b'(' => {
                self.marks.push(self.stack.len());
                return Ok(());
            }
            b'N' => PickleValue::Other,
            0x88 | 0x89 => PickleValue::Bool(opcode == 0x88), // NEWTRUE, NEWFALSE
            b']' => PickleValue::List(Vec::new()),
            b'G' => self.take(8).map(|_| PickleValue::Other)?, // BINFLOAT
            b'K' => PickleValue::Int(i64::from(self.byte()?)),
            b'M' => PickleValue::Int(i64::from(u16::from_le_bytes(self.array()?))),
            b'J' => PickleValue::Int(i64::from(i32::from_le_bytes(self.array()?))),
            0x8a => self.long()?,
            b'X' => {
                let length = u32::from_le_bytes(self.array()?) as usize;
                PickleValue::Text(self.text(length)?)
            }
            0x8c => {
                let length = usize::from(self.byte()?);
                PickleValue::Text(self.text(length)?)
            }
            b')' => PickleValue::Tuple(Vec::new()),
            b'}' => PickleValue::Dict(Vec::new()),
            b't' => PickleValue::Tuple(self.since_mark()?),
            0x85..=0x87 => {
                let mut items = (0x84..opcode).map(|_| self.pop()).collect::<Result<Vec<_>>>()?;
                items.reverse();
                PickleValue::Tuple(items)
            }
            b'c' => self.global()?,
            b'Q' => self.storage()?,
            b'R' => return self.reduce(),
            b'q' | b'r' => return self.remember(opcode),
            b'h' | b'j' => return self.recall(opcode),
            b'u' | b's' => return self.set_items(opcode),
            b'e' | b'a' => return self.append(opcode),
            b'b' => return self.pop().map(drop), // BUILD: sets attributes, which nothing reads
            other => return Err(PickleError::Refused(format!("opcode 0x{other:02x}"))),
        };
        self.push(value);
        Ok(())
    }

    /// Interprets a call. Only the constructors that state dicts need are allowed, and none is executed.
    fn reduce(&mut self) -> Result<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let (PickleValue::Tuple(arguments), PickleValue::Global(function)) =
            (self.value(arguments), self.value(function))
        else {
            return Err(self.damaged());
        };
        let value = match *function {
            "collections.OrderedDict" | "collections.defaultdict" => PickleValue::Dict(Vec::new()),
            "torch.Size" | "torch.device" => PickleValue::Other,
            "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2" => {
                self.tensor(arguments)?
            }
            "torch._utils._rebuild_parameter" => {
                let &tensor = arguments.first().ok_or(self.damaged())?;
                self.stack.push(tensor);
                return Ok(());
            }
            other => return Err(PickleError::Refused(format!("a call to {other}"))),
        };
        self.push(value);
        Ok(())
    }

    /// Reads a tensor's arguments: `(storage, offset, shape, stride, …)`.
    fn tensor(&self, arguments: &[Id]) -> Result<PickleValue<'a>> {
        let &[storage, offset, shape, stride, ..] = arguments else { return Err(self.damaged()) };
        let (&PickleValue::Storage(storage_type, storage), &PickleValue::Int(offset)) =
            (self.value(storage), self.value(offset))
        else {
            return Err(self.damaged());
        };
        let (shape, stride) = (self.numbers(shape)?, self.numbers(stride)?);
        Ok(PickleValue::Tensor(TensorRef { storage_type, storage, offset, shape, stride }))
    }

    /// Reads a storage's tuple, such as `("storage", torch.FloatStorage, "0", "cpu", 1234)`.
    fn storage(&mut self) -> Result<PickleValue<'a>> {
        let id = self.pop()?;
        let PickleValue::Tuple(parts) = self.value(id) else { return Err(self.damaged()) };
        let &[_, kind, key, ..] = &parts[..] else { return Err(self.damaged()) };
        match (self.value(kind), self.value(key)) {
            (&PickleValue::Global(kind), &PickleValue::Text(key)) => {
                Ok(PickleValue::Storage(kind, key))
            }
            _ => Err(self.damaged()),
        }
    }

    fn global(&mut self) -> Result<PickleValue<'a>> {
        let global = format!("{}.{}", self.line()?, self.line()?);
        let known = GLOBALS.into_iter().find(|&known| known == global);
        known.map(PickleValue::Global).ok_or(PickleError::Refused(global))
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
        let PickleValue::Dict(dict) = &mut self.values[dict] else { return Err(damaged) };
        dict.extend(items.as_chunks().0.iter().map(|&[key, value]| (key, value)));
        Ok(())
    }

    fn append(&mut self, opcode: u8) -> Result<()> {
        let items = if opcode == b'e' { self.since_mark()? } else { vec![self.pop()?] };
        let damaged = self.damaged();
        let &Id(list) = self.stack.last().ok_or(damaged.clone())?;
        let PickleValue::List(list) = &mut self.values[list] else { return Err(damaged) };
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

    fn long(&mut self) -> Result<PickleValue<'a>> {
        let length = usize::from(self.byte()?);
        if length > 8 {
            return Err(PickleError::Refused("an integer with more than 64 bits".to_owned()));
        }
        let bytes = self.take(length)?;
        let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
        let mut whole = [if negative { 0xff } else { 0 }; 8];
        whole[..length].copy_from_slice(bytes);
        Ok(PickleValue::Int(i64::from_le_bytes(whole)))
    }

    fn numbers(&self, tuple: Id) -> Result<Vec<i64>> {
        let PickleValue::Tuple(items) = self.value(tuple) else { return Err(self.damaged()) };
        if items.len() > MAX_DIMENSIONS {
            return Err(PickleError::Refused(format!("a tensor with {} dimensions", items.len())));
        }
        let number = |&id: &Id| match self.value(id) {
            PickleValue::Int(number) => Ok(*number),
            _ => Err(self.damaged()),
        };
        items.iter().map(number).collect()
    }

    fn value(&self, id: Id) -> &PickleValue<'a> {
        &self.values[id.0]
    }

    fn push(&mut self, value: PickleValue<'a>) {
        self.stack.push(Id(self.values.len()));
        self.values.push(value);
    }

    pub(super) fn pop(&mut self) -> Result<Id> {
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

    pub(super) fn byte(&mut self) -> Result<u8> {
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
