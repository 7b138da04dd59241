//! Zip archives.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::ControlFlow;

use zip::result::ZipError;

use super::budget::Budget;
use super::{ArchiveError, Odd, Visitor, decoded, plain_path};

/// Shows every file of a zip to `visitor`, as [`super::Archive::visit`] does.
pub(super) fn visit(
    mut file: impl Read + Seek,
    budget: &mut Budget,
    visitor: &mut dyn Visitor,
) -> Result<(), ArchiveError> {
    // The `zip` crate reads the whole central directory into memory, so too long a one must not get that far.
    let stated = stated_entries(&mut file).map_err(ArchiveError::Damaged)?;
    budget.check_entries(stated.unwrap_or(0))?;
    let mut zip = zip::ZipArchive::new(file).map_err(damaged)?;
    for index in 0..zip.len() {
        budget.entry()?;
        let raw = zip.by_index_raw(index).map_err(damaged)?;
        // Many packers write UTF-8 without declaring it.
        let name = decoded(raw.name_raw());
        let (is_folder, is_link, is_encrypted) = (raw.is_dir(), raw.is_symlink(), raw.encrypted());
        let stated_size = raw.size();
        drop(raw);
        let Some(path) = plain_path(&name)? else { continue };
        if is_link {
            visitor.odd(&path, Odd::NotAFile)?;
            continue;
        }
        if is_folder {
            continue;
        }
        match visitor.wants(&path) {
            ControlFlow::Break(()) => return Err(ArchiveError::Stopped),
            ControlFlow::Continue(false) => continue,
            ControlFlow::Continue(true) => {}
        }
        if is_encrypted {
            return Err(ArchiveError::Encrypted(name));
        }
        if let Some(odd) = budget.is_too_large(stated_size)? {
            visitor.odd(&path, odd)?;
            continue;
        }
        let read = match zip.by_index(index) {
            Ok(mut entry) => budget.read(&path, &mut entry, visitor)?,
            Err(ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_)) => {
                return Err(ArchiveError::Compression(name));
            }
            Err(other) => Err(other.into()),
        };
        // The entries of a zip are packed separately, so the next one may be intact.
        if let Err(error) = read {
            visitor.odd(&path, Odd::Damaged(error.to_string()))?;
        }
    }
    Ok(())
}

fn damaged(error: ZipError) -> ArchiveError {
    ArchiveError::Damaged(error.into())
}

/// Returns the number of entries that the end of a zip states; `None` if the end is missing.
///
/// Source: PKWARE's APPNOTE 6.3.10, sections 4.3.14 to 4.3.16.
fn stated_entries(file: &mut (impl Read + Seek)) -> io::Result<Option<u64>> {
    /// The end record with the longest comment, and the locator of the zip64 end record before it.
    const LONGEST_END: u64 = 22 + 0xFFFF + 20;
    let length = file.seek(SeekFrom::End(0))?;
    let start = length.saturating_sub(LONGEST_END);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.by_ref().take(LONGEST_END).read_to_end(&mut tail)?;
    let Some(end) = tail.windows(4).rposition(|bytes| bytes == b"PK\x05\x06") else {
        return Ok(None);
    };
    let short =
        tail.get(end + 10..end + 12).map(|bytes| u64::from(bytes[0]) | u64::from(bytes[1]) << 8);
    let locator = end.checked_sub(20).and_then(|at| tail[at..].first_chunk::<20>());
    let Some(locator) = locator.filter(|locator| locator.starts_with(b"PK\x06\x07")) else {
        return Ok(short);
    };
    let at = u64_at(locator, 8);
    let mut record = [0; 40];
    file.seek(SeekFrom::Start(at))?;
    let is_there = file.read_exact(&mut record).is_ok() && record.starts_with(b"PK\x06\x06");
    Ok(if is_there { Some(u64_at(&record, 32)) } else { short })
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Write};

    #[test]
    fn the_end_of_a_zip_states_the_number_of_its_entries() {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for number in 0..70_000 {
            let options = zip::write::SimpleFileOptions::default();
            zip.start_file(number.to_string(), options).unwrap();
            if number == 2 {
                let mut short = zip::ZipWriter::new(Cursor::new(Vec::new()));
                short.start_file("a", options).unwrap();
                short.write_all(b"x").unwrap();
                let mut short = short.finish().unwrap();
                assert_eq!(stated_entries(&mut short).unwrap(), Some(1));
            }
        }
        let mut zip64 = zip.finish().unwrap();
        assert_eq!(stated_entries(&mut zip64).unwrap(), Some(70_000));
        assert_eq!(stated_entries(&mut Cursor::new(b"PK\x03\x04".to_vec())).unwrap(), None);
        let torn = b"PK\x05\x06\0\0".to_vec();
        assert_eq!(stated_entries(&mut Cursor::new(torn)).unwrap(), None);
    }
}
