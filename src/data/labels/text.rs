//! Decodes text files: UTF-8, UTF-16 or Windows-1252.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// How many bytes are checked to recognise UTF-16 without a byte order mark.
const LOOKED_AT: usize = 512;

/// Returns the text of a file. Bytes that are not UTF-8 are read as Windows-1252, which decodes any byte.
pub(super) fn decode(bytes: &[u8]) -> String {
    let encoding = Encoding::for_bom(bytes)
        .map(|(encoding, _)| encoding)
        .or_else(|| utf_16(bytes))
        .unwrap_or(if std::str::from_utf8(bytes).is_ok() { UTF_8 } else { WINDOWS_1252 });
    encoding.decode_with_bom_removal(bytes).0.into_owned()
}

/// Recognises UTF-16 without a byte order mark: in mostly Latin text, every other byte is 0.
fn utf_16(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(LOOKED_AT)];
    let zeros =
        |first: usize| head.iter().skip(first).step_by(2).filter(|&&byte| byte == 0).count();
    let (high, low) = (zeros(0), zeros(1));
    let most = head.len() / 2 * 3 / 4;
    match () {
        () if head.len() < 4 => None,
        () if low >= most && high == 0 => Some(UTF_16LE),
        () if high >= most && low == 0 => Some(UTF_16BE),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_in_any_encoding_that_spreadsheets_write() {
        let text = "image_path,x1,y1,w,h\nFußgänger.jpg,1,2,3,4\n";
        let utf_16 = |to_bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
            text.encode_utf16().flat_map(to_bytes).collect()
        };
        let (little, big) = (utf_16(u16::to_le_bytes), utf_16(u16::to_be_bytes));
        for bytes in [
            text.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            [b"\xff\xfe", &little[..]].concat(),
            [b"\xfe\xff", &big[..]].concat(),
            little,
            big,
            WINDOWS_1252.encode(text).0.into_owned(),
        ] {
            assert_eq!(decode(&bytes), text);
        }
    }
}
