//! Crash-safe file operations: after a crash there is either the old file or the new one, never a partial one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Replaces the content of `path`: writes a temporary file in the same folder, syncs it to disk and renames it.
///
/// # Errors
///
/// Any file system error. `path` is then unchanged, unless only the final sync of the folder failed.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = beside(path, bytes)?;
    beside.persist(path).map_err(|error| error.error)?;
    sync_folder(folder_of(path))
}

/// Like [`write()`], but first renames the old file to `former`. A crash between the renames leaves no file at `path`.
///
/// # Errors
///
/// Any file system error; the old file is then at `path` or `former`.
pub fn write_keeping(path: &Path, former: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = beside(path, bytes)?;
    match fs::rename(path, former) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    beside.persist(path).map_err(|error| error.error)?;
    sync_folder(folder_of(path))
}

/// Deletes temporary files that a crash left in `folder`.
///
/// # Errors
///
/// Any file system error, except a missing folder.
pub fn remove_leftovers(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(BESIDE) && entry.file_type()?.is_file() {
            remove_file(&entry.path())?;
        }
    }
    Ok(())
}

/// Name prefix of temporary files.
const BESIDE: &str = ".tmp";

/// Deletes a file if it exists.
///
/// # Errors
///
/// Any file system error, except a missing file.
pub fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn beside(path: &Path, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let mut beside = tempfile::Builder::new().prefix(BESIDE).tempfile_in(folder_of(path))?;
    beside.write_all(bytes)?;
    beside.as_file().sync_all()?;
    Ok(beside)
}

/// Returns the parent of `path`, or `.` for a bare file name.
fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Makes renames and deletions in `folder` durable.
///
/// # Errors
///
/// Any file system error.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Deletes a file or folder. It is renamed first, so a crash never leaves it partly deleted under its own name.
///
/// # Errors
///
/// Any file system error, except a missing file or folder.
pub fn remove_folder(path: &Path) -> io::Result<()> {
    set_aside(path)?;
    remove_aside(path)
}

/// Does the fast first half of [`remove_folder`]: renames `path` to `….deleted`.
///
/// # Errors
///
/// See [`remove_folder`].
pub fn set_aside(path: &Path) -> io::Result<()> {
    if !path.try_exists()? {
        return Ok(());
    }
    remove_aside(path)?; // A leftover from a crash would block the rename.
    fs::rename(path, aside(path))
}

/// Does the second half of [`remove_folder`]: deletes `….deleted`.
///
/// # Errors
///
/// See [`remove_folder`].
pub fn remove_aside(path: &Path) -> io::Result<()> {
    let path = aside(path);
    if path.is_dir() { remove_all(&path) } else { remove_file(&path) }
}

/// Whether the error means that the disk is full or the user's quota is used up.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn aside(path: &Path) -> PathBuf {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".deleted");
    aside.into()
}

fn remove_all(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_replaces_the_whole_file_and_leaves_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(write(&folder.path().join("no/such/folder"), b"x").is_err());
    }

    #[test]
    fn a_folder_is_removed_even_if_a_crash_interrupted_an_earlier_removal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job");
        for half in ["job", "job.deleted"] {
            fs::create_dir(folder.path().join(half)).unwrap();
            fs::write(folder.path().join(half).join("file"), b"x").unwrap();
        }
        remove_folder(&path).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn removing_a_missing_folder_succeeds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("file"), b"x").unwrap();
        remove_folder(&path).unwrap();
        remove_folder(&path).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
