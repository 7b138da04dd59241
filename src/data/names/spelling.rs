//! The different ways in which programs spell a file name.

use std::collections::BTreeSet;

use encoding_rs::{
    BIG5, EUC_KR, Encoding, GBK, SHIFT_JIS, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252,
};
use unicode_normalization::UnicodeNormalization;

use crate::data::extensions::is_picture;

/// Encodings that zip programs use for names without declaring them.
const LEGACY: [&Encoding; 7] =
    [WINDOWS_1252, WINDOWS_1250, WINDOWS_1251, SHIFT_JIS, GBK, EUC_KR, BIG5];

/// The upper half of CP437, the encoding of a zip's names unless it declares UTF-8.
/// Source: Unicode's mapping `VENDORS/MICSFT/PC/CP437.TXT`.
const CP437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// Normalizes a path: lower case, composed letters, `/` between its parts, and no `.` as a part.
pub(super) fn folded(path: &str) -> String {
    let path = path.replace('\\', "/").to_lowercase().nfc().collect::<String>();
    parts(&path).collect::<Vec<_>>().join("/")
}

/// Returns the parts of a path, without `.`.
pub(super) fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !matches!(*part, "" | "."))
}

/// Returns a path without its last extension.
pub(super) fn without_extension(path: &str) -> &str {
    match path.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && !extension.contains('/') => stem,
        _ => path,
    }
}

/// Returns what may be the name of a picture without its extension, the likelier first: a name with a picture's
/// extension may have the wrong one, and any other name may have none.
pub(super) fn stems(name: &str) -> [&str; 2] {
    let stem = without_extension(name);
    if is_picture(name) { [stem, name] } else { [name, stem] }
}

/// Returns how a path reads in other encodings, if it was wrongly read as CP437.
pub(super) fn legacy(path: &str) -> BTreeSet<String> {
    if path.is_ascii() {
        return BTreeSet::new();
    }
    let Some(bytes) = to_cp437(path) else { return BTreeSet::new() };
    let read = |encoding: &&'static Encoding| {
        encoding.decode_without_bom_handling_and_without_replacement(&bytes).map(Into::into)
    };
    LEGACY.iter().filter_map(read).collect()
}

/// Returns what a name may have been before a program read its UTF-8 as Windows-1252 or CP437.
pub(super) fn alternatives(name: &str) -> impl Iterator<Item = String> {
    let (windows, _, has_failed) = WINDOWS_1252.encode(name);
    let windows = (!has_failed && !name.is_ascii()).then(|| windows.into_owned());
    let dos = if name.is_ascii() { None } else { to_cp437(name) };
    windows.into_iter().chain(dos).filter_map(|bytes| String::from_utf8(bytes).ok())
}

/// Returns a path without the prefix that Label Studio gives an uploaded file's name: eight hexadecimal digits and a
/// hyphen. `None` if it has none.
pub(super) fn without_upload_prefix(path: &str) -> Option<String> {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let (prefix, rest) = file.split_once('-')?;
    let is_prefix = prefix.len() == 8 && prefix.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_prefix && !rest.is_empty()).then(|| format!("{folder}/{rest}"))
}

/// Reads bytes as CP437.
pub(in crate::data) fn from_cp437(bytes: &[u8]) -> String {
    let upper: Vec<char> = CP437.chars().collect();
    let letter = |&byte: &u8| match byte.checked_sub(128) {
        None => char::from(byte),
        Some(at) => upper[usize::from(at)],
    };
    bytes.iter().map(letter).collect()
}

fn to_cp437(text: &str) -> Option<Vec<u8>> {
    let byte = |letter: char| match u8::try_from(letter) {
        Ok(byte) if byte < 128 => Some(byte),
        _ => CP437.chars().position(|other| other == letter).map(|at| (at + 128) as u8),
    };
    text.chars().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cp437_has_a_letter_for_every_byte() {
        let bytes: Vec<u8> = (1..=255).collect();
        assert_eq!(to_cp437(&from_cp437(&bytes)).unwrap(), bytes);
        assert_eq!(from_cp437(b"Fu\xe1g\x84nger"), "Fußgänger");
    }

    #[test]
    fn a_name_without_an_extension_may_contain_a_dot() {
        assert_eq!(stems("i/a.b"), ["i/a.b", "i/a"]);
        assert_eq!(stems("i/a.b.jpg"), ["i/a.b", "i/a.b.jpg"]);
    }

    #[test]
    fn only_the_last_extension_is_removed_and_hidden_files_keep_their_names() {
        for (path, stem) in
            [("a.b/c", "a.b/c"), ("a/b.c.jpg", "a/b.c"), (".jpg", ".jpg"), ("a", "a")]
        {
            assert_eq!(without_extension(path), stem);
        }
    }
}
