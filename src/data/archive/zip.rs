//! Zip archives.

use std::io::{Read, Seek};
use std::ops::ControlFlow;

use zip::result::ZipError;

use super::budget::Budget;
use super::{ArchiveError, Visitor, Wanted, plain_path};

/// Like [`super::Archive::visit`].
pub(super) fn visit(
    file: impl Read + Seek,
    budget: &mut Budget,
    wanted: &mut Wanted<'_>,
    visit: &mut Visitor<'_>,
) -> Result<(), ArchiveError> {
    let mut zip = zip::ZipArchive::new(file).map_err(damaged)?;
    for index in 0..zip.len() {
        budget.entry()?;
        let raw = zip.by_index_raw(index).map_err(damaged)?;
        // Many packers write UTF-8 without declaring it.
        let name = std::str::from_utf8(raw.name_raw()).unwrap_or(raw.name()).replace('\\', "/");
        let (is_folder, is_link, is_encrypted) = (raw.is_dir(), raw.is_symlink(), raw.encrypted());
        drop(raw);
        let Some(path) = plain_path(&name)? else { continue };
        if is_link {
            return Err(ArchiveError::NotAFile(name));
        }
        if is_folder {
            continue;
        }
        match wanted(&path) {
            ControlFlow::Break(()) => return Err(ArchiveError::Stopped),
            ControlFlow::Continue(false) => continue,
            ControlFlow::Continue(true) => {}
        }
        if is_encrypted {
            return Err(ArchiveError::Encrypted(name));
        }
        let mut entry = zip.by_index(index).map_err(|error| match error {
            ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_) => {
                ArchiveError::Compression(name)
            }
            other => damaged(other),
        })?;
        budget.read(&path, &mut entry, visit)?;
    }
    Ok(())
}

fn damaged(error: ZipError) -> ArchiveError {
    ArchiveError::Damaged(error.into())
}
