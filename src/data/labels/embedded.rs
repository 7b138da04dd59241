//! Skips the pictures that `LabelMe` embeds in its JSON, so that they take no memory.

use std::io::{self, Read};

/// The key of an embedded picture, which is a text in Base64.
const KEY: &[u8] = b"imageData";

/// A reader of JSON that empties the text of every `imageData`. Its line numbers stay what they are.
pub(in crate::data) struct WithoutPictures<R> {
    inner: R,
    place: Place,
}

/// Where in the JSON a reader is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Between,
    /// In a text whose first bytes are so many of the key's; `None` if it is another text.
    Text {
        matched: Option<usize>,
        is_escaped: bool,
    },
    AfterKey {
        has_colon: bool,
    },
    Picture {
        is_escaped: bool,
    },
}

impl Place {
    fn after(self, byte: u8) -> Self {
        let is_space = byte.is_ascii_whitespace();
        match (self, byte) {
            (Self::AfterKey { has_colon: true }, b'"') => Self::Picture { is_escaped: false },
            (Self::AfterKey { has_colon: false }, b':') => Self::AfterKey { has_colon: true },
            (Self::AfterKey { .. }, _) if is_space => self,
            (Self::Between | Self::AfterKey { .. }, b'"') => {
                Self::Text { matched: Some(0), is_escaped: false }
            }
            (Self::Text { is_escaped: true, .. }, _) => {
                Self::Text { matched: None, is_escaped: false }
            }
            (Self::Text { .. }, b'\\') => Self::Text { matched: None, is_escaped: true },
            (Self::Text { matched, .. }, b'"') if matched == Some(KEY.len()) => {
                Self::AfterKey { has_colon: false }
            }
            (Self::Between | Self::AfterKey { .. }, _)
            | (Self::Text { .. } | Self::Picture { is_escaped: false }, b'"') => Self::Between,
            (Self::Text { matched, .. }, _) => {
                let next = matched.filter(|&matched| KEY.get(matched) == Some(&byte));
                Self::Text { matched: next.map(|matched| matched + 1), is_escaped: false }
            }
            (Self::Picture { is_escaped }, _) => {
                Self::Picture { is_escaped: byte == b'\\' && !is_escaped }
            }
        }
    }
}

impl<R: Read> WithoutPictures<R> {
    pub(in crate::data) fn new(inner: R) -> Self {
        Self { inner, place: Place::Between }
    }
}

impl<R: Read> Read for WithoutPictures<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let length = self.inner.read(buffer)?;
            let mut kept = 0;
            for index in 0..length {
                let byte = buffer[index];
                let before = self.place;
                self.place = before.after(byte);
                let is_in = |place| matches!(place, Place::Picture { .. });
                if !(is_in(before) && is_in(self.place)) {
                    buffer[kept] = byte;
                    kept += 1;
                }
            }
            if kept > 0 || length == 0 {
                return Ok(kept);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a byte at a time, as a slow archive might.
    struct ByBytes<'a>(&'a [u8]);

    impl Read for ByBytes<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(&mut buffer[..1])
        }
    }

    #[test]
    fn embedded_pictures_are_emptied_and_everything_else_stays() {
        for (text, kept) in [
            ("{\"imageData\" :\n \"/9j/4AAQ==\", \"a\": 1}", "{\"imageData\" :\n \"\", \"a\": 1}"),
            ("[{\"imageData\":\"\\\"\\\\\"},\"b\"]", "[{\"imageData\":\"\"},\"b\"]"),
            ("{\"imageData\": null, \"a\": \"b\"}", "{\"imageData\": null, \"a\": \"b\"}"),
            ("{\"imageDataX\": \"a\", \"ximageData\": \"b\"}", ""),
            ("[\"imageData\", \"a\"]", ""),
            ("{\"text\": \"\\\"imageData\\\": \\\"a\\\"\"}", ""),
            ("{\"imageData\": \"cut", "{\"imageData\": \""),
            ("image_path,imageData\n\"a\"", ""),
        ] {
            let kept = if kept.is_empty() { text } else { kept };
            for slow in [false, true] {
                let mut read = String::new();
                let bytes = text.as_bytes();
                let done = if slow {
                    WithoutPictures::new(ByBytes(bytes)).read_to_string(&mut read)
                } else {
                    WithoutPictures::new(bytes).read_to_string(&mut read)
                };
                assert_eq!((done.unwrap(), read.as_str()), (kept.len(), kept));
            }
        }
    }
}
