//! Messages of Protocol Buffers, which are only written, never read.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>.

/// A message being written. Field numbers are those of its `.proto`.
#[derive(Debug, Clone, Default)]
pub struct Message(Vec<u8>);

/// How a field's value is stored.
#[derive(Debug, Clone, Copy)]
enum Wire {
    Varint = 0,
    Bits64 = 1,
    Length = 2,
    Bits32 = 5,
}

impl Message {
    /// What was written so far.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Adds an `int32` or an `int64`.
    #[must_use]
    pub fn int(self, field: u64, value: i64) -> Self {
        self.key(field, Wire::Varint).varint(value as u64)
    }

    /// Adds a `double`.
    #[must_use]
    pub fn double(self, field: u64, value: f64) -> Self {
        self.key(field, Wire::Bits64).push(&value.to_le_bytes())
    }

    /// Adds a `float`.
    #[must_use]
    pub fn float(self, field: u64, value: f32) -> Self {
        self.key(field, Wire::Bits32).push(&value.to_le_bytes())
    }

    /// Adds `bytes`.
    #[must_use]
    pub fn bytes(self, field: u64, value: &[u8]) -> Self {
        self.key(field, Wire::Length).varint(value.len() as u64).push(value)
    }

    /// Adds a `string`.
    #[must_use]
    pub fn text(self, field: u64, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    /// Adds a message.
    #[must_use]
    pub fn message(self, field: u64, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }

    fn key(self, field: u64, wire: Wire) -> Self {
        self.varint(field << 3 | wire as u64)
    }

    /// Seven bits per byte, lowest first; the eighth says that more follow.
    fn varint(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }

    fn push(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_are_encoded_as_the_specification_shows() {
        assert_eq!(Message::default().int(1, 150).into_bytes(), [0x08, 0x96, 0x01]);
        let text = Message::default().text(2, "testing").into_bytes();
        assert_eq!(text, b"\x12\x07testing");
        let nested = Message::default().message(3, &Message::default().int(1, 150));
        assert_eq!(nested.into_bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        assert_eq!(Message::default().int(1, -1).into_bytes().len(), 11);
        assert_eq!(Message::default().float(2, 1.0).into_bytes(), [0x15, 0, 0, 0x80, 0x3f]);
        let double = Message::default().double(1, 1.0).into_bytes();
        assert_eq!(double, [0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
    }
}
