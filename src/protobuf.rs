//! Writes Protocol Buffers messages.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>.

/// A message that is being written. The field numbers come from its `.proto` file.
#[derive(Debug, Clone, Default)]
pub struct Message(Vec<u8>);

/// A field's wire type.
#[derive(Debug, Clone, Copy)]
enum Wire {
    Varint = 0,
    Bits64 = 1,
    Length = 2,
    Bits32 = 5,
}

impl Message {
    /// Returns the encoded message.
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

    /// Adds a nested message.
    #[must_use]
    pub fn message(self, field: u64, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }

    fn key(self, field: u64, wire: Wire) -> Self {
        self.varint(field << 3 | wire as u64)
    }

    /// Writes seven bits per byte, lowest first. The eighth bit is set if more bytes follow.
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
    fn numbers_and_strings_are_encoded_as_in_the_specification() {
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
