//! Zip archives.

use std::io::{Read, Seek};
use std::ops::ControlFlow;

use zip::result::ZipError;

use super::budget::Budget;
use super::{ArchiveError, Odd, Visitor, decoded, plain_path};

/// Shows every file of a zip to `visitor`, as [`super::Archive::visit`] does.
pub(super) fn visit(
    file: impl Read + Seek,
    budget: &mut Budget,
    visitor: &mut dyn Visitor,
) -> Result<(), ArchiveError> {
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
