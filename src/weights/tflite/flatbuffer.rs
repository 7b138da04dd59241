//! Reads FlatBuffers with every offset checked and every length limited. Many tables can share a vector, so without
//! limits a small file could take long to read.
//!
//! Source: <https://flatbuffers.dev/internals/>.

use std::ops::Range;

/// The bytes are not a valid `FlatBuffer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("damaged at byte {0}: an offset points outside the file, or a length is out of range")]
pub struct Damaged(pub usize);

/// A table within `bytes`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
    vtable: usize,
    /// Length of the vtable, in bytes.
    vtable_length: usize,
}

type Result<T> = std::result::Result<T, Damaged>;

/// Maximum number of tables in a vector. `MediaPipe`'s files have a few hundred tensors and operators.
const MAX_TABLES: usize = 4096;
/// Maximum number of bytes in a string.
const MAX_TEXT: usize = 1024;

impl<'a> Table<'a> {
    /// Reads the root table.
    pub(super) fn root(bytes: &'a [u8]) -> Result<Self> {
        Self::at(bytes, u32_at(bytes, 0)? as usize)
    }

    fn at(bytes: &'a [u8], at: usize) -> Result<Self> {
        let back = i64::from(u32_at(bytes, at)? as i32);
        let vtable = usize::try_from(at as i64 - back).map_err(|_| Damaged(at))?;
        let vtable_length = usize::from(u16_at(bytes, vtable)?);
        Ok(Self { bytes, at, vtable, vtable_length })
    }

    /// Returns the position of a field's value, or `None` if the field has its default.
    fn field(&self, number: usize) -> Result<Option<usize>> {
        let slot = 4 + 2 * number;
        if slot + 2 > self.vtable_length {
            return Ok(None);
        }
        let offset = usize::from(u16_at(self.bytes, self.vtable + slot)?);
        Ok((offset > 0).then_some(self.at + offset))
    }

    /// Returns the position of a 32-bit field's value, or `None` if the field has its default. The value must be inside
    /// the file.
    pub(super) fn place(&self, number: usize) -> Result<Option<usize>> {
        let place = self.field(number)?;
        place.map(|at| u32_at(self.bytes, at).map(|_| at)).transpose()
    }

    /// Reads an 8-bit field, which defaults to 0.
    pub(super) fn u8(&self, number: usize) -> Result<u8> {
        let Some(at) = self.field(number)? else { return Ok(0) };
        self.bytes.get(at).copied().ok_or(Damaged(at))
    }

    /// Reads a 32-bit field, which defaults to 0.
    pub(super) fn u32(&self, number: usize) -> Result<u32> {
        self.field(number)?.map_or(Ok(0), |at| u32_at(self.bytes, at))
    }

    /// Returns the position of a vector's first element and the number of elements.
    fn vector(&self, number: usize, element_size: usize) -> Result<Option<(usize, usize)>> {
        let Some(field) = self.field(number)? else { return Ok(None) };
        let at = field.checked_add(u32_at(self.bytes, field)? as usize).ok_or(Damaged(field))?;
        let count = u32_at(self.bytes, at)? as usize;
        let end = count.checked_mul(element_size).and_then(|length| length.checked_add(at + 4));
        match end {
            Some(end) if end <= self.bytes.len() => Ok(Some((at + 4, count))),
            _ => Err(Damaged(at)),
        }
    }

    /// Returns a vector of bytes as a range of the file.
    pub(super) fn bytes(&self, number: usize) -> Result<Option<Range<usize>>> {
        Ok(self.vector(number, 1)?.map(|(at, count)| at..at + count))
    }

    /// Reads a string and replaces invalid UTF-8.
    pub(super) fn text(&self, number: usize) -> Result<String> {
        let range = self.bytes(number)?.unwrap_or(0..0);
        if range.len() > MAX_TEXT {
            return Err(Damaged(range.start));
        }
        Ok(String::from_utf8_lossy(&self.bytes[range]).into_owned())
    }

    /// Returns the bytes of a vector with elements of the given size.
    pub(super) fn bytes_of(&self, number: usize, element_size: usize) -> Result<Option<&'a [u8]>> {
        let place = self.vector(number, element_size)?;
        Ok(place.map(|(at, count)| &self.bytes[at..at + count * element_size]))
    }

    /// Reads the table that a field refers to.
    pub(super) fn table(&self, number: usize) -> Result<Option<Self>> {
        let Some(field) = self.field(number)? else { return Ok(None) };
        let to = field.checked_add(u32_at(self.bytes, field)? as usize).ok_or(Damaged(field))?;
        Self::at(self.bytes, to).map(Some)
    }

    /// Reads a vector of at most `most` 32-bit numbers.
    pub(super) fn u32s(&self, number: usize, most: usize) -> Result<Vec<u32>> {
        let (at, count) = self.vector(number, 4)?.unwrap_or((0, 0));
        if count > most {
            return Err(Damaged(at));
        }
        (0..count).map(|index| u32_at(self.bytes, at + 4 * index)).collect()
    }

    /// Reads a vector of tables.
    pub(super) fn tables(&self, number: usize) -> Result<Vec<Self>> {
        let (at, count) = self.vector(number, 4)?.unwrap_or((0, 0));
        if count > MAX_TABLES {
            return Err(Damaged(at));
        }
        let table = |index: usize| {
            let slot = at + 4 * index;
            let to = slot.checked_add(u32_at(self.bytes, slot)? as usize).ok_or(Damaged(slot))?;
            Self::at(self.bytes, to)
        };
        (0..count).map(table).collect()
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16> {
    let end = at.checked_add(2).ok_or(Damaged(at))?;
    let slice = bytes.get(at..end).and_then(|slice| slice.try_into().ok());
    slice.map(u16::from_le_bytes).ok_or(Damaged(at))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    let end = at.checked_add(4).ok_or(Damaged(at))?;
    let slice = bytes.get(at..end).and_then(|slice| slice.try_into().ok());
    slice.map(u32::from_le_bytes).ok_or(Damaged(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a table whose only field is a vector that claims to have `count` elements.
    fn table_of(count: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![12, 0, 0, 0]; // The root table is at 12.
        bytes.extend([6, 0, 8, 0, 4, 0, 0, 0]); // Its vtable is at 4, with one field at offset 4.
        bytes.extend([8, 0, 0, 0, 4, 0, 0, 0]); // The vtable is 8 back, the vector 4 ahead.
        bytes.extend(count.to_le_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn a_vector_is_read_only_if_it_fits_in_the_file() {
        let bytes = table_of(2, &[7, 0, 0, 0, 9, 0, 0, 0]);
        assert_eq!(Table::root(&bytes).unwrap().u32s(0, 8), Ok(vec![7, 9]));
        for count in [3, u32::MAX] {
            let bytes = table_of(count, &[7, 0, 0, 0, 9, 0, 0, 0]);
            assert_eq!(Table::root(&bytes).unwrap().u32s(0, 8), Err(Damaged(20)));
        }
    }

    #[test]
    fn excessive_lengths_are_rejected() {
        let zeros = vec![0; 1 << 16];
        let numbers = table_of(9, &zeros);
        assert!(Table::root(&numbers).unwrap().u32s(0, 8).is_err());
        let tables = table_of(5000, &zeros);
        assert!(Table::root(&tables).unwrap().tables(0).is_err());
        let text = table_of(1025, &zeros);
        assert!(Table::root(&text).unwrap().text(0).is_err());
    }
}
