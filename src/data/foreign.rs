//! Recognises unsupported formats by their first bytes, and JPEGs that were cut short.

/// How many bytes suffice to recognise a format.
pub(super) const HEAD: u64 = 64;

/// Whether a file begins like a picture, in a supported format or not.
pub(super) fn is_picture(head: &[u8]) -> bool {
    image::guess_format(head).is_ok() || format(head).is_some_and(|format| format.is_picture)
}

/// An unsupported format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foreign {
    pub(super) name: &'static str,
    is_picture: bool,
}

impl Foreign {
    /// Returns advice for the user, as the rest of a sentence that begins with the file's name.
    pub fn advice(self) -> String {
        let Self { name, is_picture } = self;
        if is_picture {
            format!("is {name}, which cannot be read; convert it to JPEG or PNG")
        } else {
            format!("is {name}, not a picture")
        }
    }
}

/// Formats that people mistake for supported ones: first bytes, name, and whether it is a picture.
const SIGNATURES: [(&[u8], &str, bool); 10] = [
    (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture", true),
    (b"\xff\x0a", "a JPEG XL picture", true),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture", true),
    (b"8BPS", "a Photoshop document", true),
    (b"%PDF", "a PDF document", false),
    (b"<!DOCTYPE", "a web page", false),
    (b"<!doctype", "a web page", false),
    (b"<html", "a web page", false),
    (b"<svg", "an SVG drawing", true),
    (b"<?xml", "an XML document", false),
];

/// Returns the format of a file if it is a known format that is not supported.
pub(super) fn format(bytes: &[u8]) -> Option<Foreign> {
    if bytes.is_empty() {
        return Some(Foreign { name: "an empty file", is_picture: false });
    }
    if bytes.get(4..8) == Some(b"ftyp") {
        return Some(iso_media(bytes));
    }
    if bytes.get(8..10) == Some(b"CR") && bytes.starts_with(b"II*\0") {
        return Some(Foreign { name: "a Canon raw picture", is_picture: true });
    }
    let text = bytes.trim_ascii_start();
    let mut signatures = SIGNATURES.iter();
    let found = signatures.find(|(start, ..)| bytes.starts_with(start) || text.starts_with(start));
    found.map(|&(_, name, is_picture)| Foreign { name, is_picture })
}

/// Returns the format of an ISO base media file, such as HEIC, AVIF or a video, by the brands that follow `ftyp`.
fn iso_media(bytes: &[u8]) -> Foreign {
    let brands = || bytes.get(8..bytes.len().min(40)).unwrap_or_default().chunks_exact(4);
    let has = |wanted: &[&[u8]]| brands().any(|brand| wanted.contains(&brand));
    let (name, is_picture) = if has(&[b"avif", b"avis"]) {
        ("an AVIF picture", true)
    } else if has(&[b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"]) {
        ("a HEIC picture", true)
    } else if has(&[b"crx "]) {
        ("a Canon raw picture", true)
    } else {
        ("a video", false)
    };
    Foreign { name, is_picture }
}

/// Whether a JPEG's data ends before its end marker. The decoder would silently paint the rest grey.
///
/// Source: ITU-T T.81, B.1.1.2 to B.1.1.4.
pub(super) fn is_jpeg_cut_short(bytes: &[u8]) -> bool {
    const END: u8 = 0xd9;
    if !bytes.starts_with(&[0xff, 0xd8, 0xff]) {
        return false;
    }
    let mut at = 2;
    loop {
        // Finds the next marker: 0xff, fill bytes, and a byte that is neither 0 (an escaped 0xff) nor a restart.
        let Some(found) =
            bytes.get(at..).and_then(|rest| rest.iter().position(|&byte| byte == 0xff))
        else {
            return true;
        };
        at += found + 1;
        let Some(&marker) = bytes.get(at) else { return true };
        match marker {
            END => return false,
            0xff => {}
            0 | 0x01 | 0xd0..=0xd8 => at += 1,
            _ => {
                let Some(&[high, low]) =
                    bytes.get(at + 1..at + 3).and_then(|two| two.first_chunk())
                else {
                    return true;
                };
                // A scan's data follows its header; the search for markers continues in the data.
                at += 1 + usize::from(u16::from_be_bytes([high, low]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsupported_formats_are_recognised_by_content() {
        let name = |bytes: &[u8]| format(bytes).map(|format| format.name);
        assert_eq!(name(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"), Some("a HEIC picture"));
        assert_eq!(name(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif"), Some("an AVIF picture"));
        assert_eq!(name(b"\0\0\0\x18ftypisom\0\0\0\0isommp42"), Some("a video"));
        assert_eq!(name(b"\n <!DOCTYPE html>"), Some("a web page"));
        assert_eq!(name(b""), Some("an empty file"));
        assert_eq!(name(b"\xff\xd8\xff\xe0"), None);
        assert!(is_picture(b"\xff\xd8\xff\xe0") && is_picture(b"8BPS") && !is_picture(b"%PDF-1.4"));
    }

    #[test]
    fn a_jpeg_is_whole_only_with_its_own_end_marker() {
        // The thumbnail in the first segment has an end marker too; 0xff 0x00 and restarts are data.
        let whole = b"\xff\xd8\xff\xe1\0\x08th\xff\xd9mb\xff\xda\0\x03\x01\x12\xff\0\x34\xff\xd0\x56\xff\xd9";
        assert!(!is_jpeg_cut_short(whole));
        for end in 3..whole.len() {
            assert!(is_jpeg_cut_short(&whole[..end]), "cut off at {end}");
        }
        assert!(!is_jpeg_cut_short(b"\x89PNG"), "not a JPEG");
    }
}
