//! Writes FlatBuffers from tables of plain values.
//!
//! Source: <https://flatbuffers.dev/internals/>.

/// A table, as fields with their numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct NewTable(pub(super) Vec<(usize, FlatValue)>);

/// A field's value.
#[derive(Debug, Clone)]
pub(super) enum FlatValue {
    Byte(u8),
    Int(i32),
    Float(f32),
    Text(String),
    /// Aligned to 16 bytes, as tensors must be.
    Bytes(Vec<u8>),
    Ints(Vec<i32>),
    Longs(Vec<i64>),
    Floats(Vec<f32>),
    NewTable(NewTable),
    Tables(Vec<NewTable>),
}

impl NewTable {
    /// Adds a field.
    #[must_use]
    pub(super) fn with(mut self, field: usize, value: FlatValue) -> Self {
        self.0.push((field, value));
        self
    }

    /// Adds a text field.
    #[must_use]
    pub(super) fn text(self, field: usize, text: &str) -> Self {
        self.with(field, FlatValue::Text(text.to_owned()))
    }

    /// Returns a file with this table as its root and a four-byte identifier.
    pub(super) fn finish(&self, identifier: [u8; 4]) -> Vec<u8> {
        let mut writer = Writer(vec![0; 4]);
        writer.0.extend(identifier);
        let root = writer.table(self);
        writer.refer(0, root);
        writer.pad_to(16, 0);
        writer.0
    }
}

/// The bytes written so far. References only point forward, so each is filled in once its target is written.
struct Writer(Vec<u8>);

impl Writer {
    fn table(&mut self, table: &NewTable) -> usize {
        let count = table.0.iter().map(|&(field, _)| field + 1).max().unwrap_or(0);
        let vtable_length = 4 + 2 * count;
        // Four-byte fields come first, so that each is aligned.
        let mut order: Vec<&(usize, FlatValue)> = table.0.iter().collect();
        order.sort_by_key(|(_, value)| matches!(value, FlatValue::Byte(_)));
        let mut slots = vec![0u16; count];
        let mut length = 4u16;
        for (field, value) in &order {
            slots[*field] = length;
            length += if matches!(value, FlatValue::Byte(_)) { 1 } else { 4 };
        }
        self.pad_to(4, vtable_length);
        let vtable = self.0.len();
        for number in [vtable_length as u16, length].into_iter().chain(slots.iter().copied()) {
            self.0.extend(number.to_le_bytes());
        }
        let at = self.0.len();
        self.0.extend(((at - vtable) as i32).to_le_bytes());
        self.0.resize(at + usize::from(length), 0);
        for (field, value) in order {
            self.field(at + usize::from(slots[*field]), value);
        }
        at
    }

    fn field(&mut self, at: usize, value: &FlatValue) {
        let to = match value {
            FlatValue::Byte(byte) => {
                self.0[at] = *byte;
                return;
            }
            FlatValue::Int(number) => return self.put(at, number.to_le_bytes()),
            FlatValue::Float(number) => return self.put(at, number.to_le_bytes()),
            FlatValue::Text(text) => {
                let to = self.vector(text.len(), 4);
                self.0.extend(text.as_bytes());
                self.0.push(0);
                to
            }
            FlatValue::Bytes(bytes) => {
                let to = self.vector(bytes.len(), 16);
                self.0.extend(bytes);
                to
            }
            FlatValue::Ints(numbers) => {
                let to = self.vector(numbers.len(), 4);
                self.0.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
                to
            }
            FlatValue::Longs(numbers) => {
                let to = self.vector(numbers.len(), 8);
                self.0.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
                to
            }
            FlatValue::Floats(numbers) => {
                let to = self.vector(numbers.len(), 4);
                self.0.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
                to
            }
            FlatValue::NewTable(table) => self.table(table),
            FlatValue::Tables(tables) => {
                let to = self.vector(tables.len(), 4);
                self.0.resize(self.0.len() + 4 * tables.len(), 0);
                for (index, table) in tables.iter().enumerate() {
                    let table = self.table(table);
                    self.refer(to + 4 + 4 * index, table);
                }
                to
            }
        };
        self.refer(at, to);
    }

    /// Begins a vector with aligned elements and returns its position.
    fn vector(&mut self, count: usize, alignment: usize) -> usize {
        self.pad_to(alignment, 4);
        self.0.extend((count as u32).to_le_bytes());
        self.0.len() - 4
    }

    /// Pads the file so that the position `ahead` bytes later is aligned.
    fn pad_to(&mut self, alignment: usize, ahead: usize) {
        let end = (self.0.len() + ahead).next_multiple_of(alignment) - ahead;
        self.0.resize(end, 0);
    }

    fn refer(&mut self, from: usize, to: usize) {
        self.put(from, ((to - from) as u32).to_le_bytes());
    }

    fn put(&mut self, at: usize, bytes: [u8; 4]) {
        self.0[at..at + 4].copy_from_slice(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::super::flatbuffer;
    use super::*;

    #[test]
    fn a_built_table_is_read_back_and_its_tensors_are_aligned() {
        let inner = NewTable::default().text(0, "inner").with(2, FlatValue::Byte(7));
        let table = NewTable::default()
            .with(5, FlatValue::Bytes(vec![1, 2, 3]))
            .with(1, FlatValue::Ints(vec![4, 5]))
            .with(0, FlatValue::Tables(vec![inner.clone(), inner]));
        let bytes = table.finish(*b"TEST");
        assert_eq!(&bytes[4..8], b"TEST");
        let root = flatbuffer::Table::root(&bytes).unwrap();
        let data = root.bytes(5).unwrap().unwrap();
        assert_eq!((&bytes[data.clone()], data.start % 16), ([1, 2, 3].as_slice(), 0));
        assert_eq!(root.u32s(1, 8).unwrap(), [4, 5]);
        for table in root.tables(0).unwrap() {
            assert_eq!((table.text(0).unwrap().as_str(), table.u8(2).unwrap()), ("inner", 7));
            assert_eq!(table.u32(1).unwrap(), 0, "a missing field has its default");
        }
    }
}
