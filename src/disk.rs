//! Writing files so that a crash leaves the old one or the new one, never half of one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Replaces `path` with `bytes`: written beside, flushed to disk, renamed.
///
/// # Errors
///
/// Any error of the file system; `path` stays as it was then.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = beside(path, bytes)?;
    beside.persist(path).map_err(|error| error.error)?;
    sync_folder(folder_of(path))
}

/// Like [`write()`], but keeps the old file as `former`. A crash may leave it there with nothing at `path`.
///
/// # Errors
///
/// Any error of the file system; the old file is then at `path` or at `former`.
pub fn write_keeping(path: &Path, former: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = beside(path, bytes)?;
    match fs::rename(path, former) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    beside.persist(path).map_err(|error| error.error)?;
    sync_folder(folder_of(path))
}

/// Deletes what a crash left of files that were being written to `folder`.
///
/// # Errors
///
/// Any error of the file system, except that there is no such folder.
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

/// Prefix of files being written.
const BESIDE: &str = ".tmp";

/// Deletes a file, if it is there.
///
/// # Errors
///
/// Any other error of the file system.
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

/// A bare file name has an empty parent.
fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Makes renames and deletions in `folder` durable.
///
/// # Errors
///
/// Any error of the file system.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Deletes a file or folder so that a crash leaves it whole or out of sight: renamed aside first.
///
/// # Errors
///
/// Any error of the file system, except that there is nothing to delete.
pub fn remove_folder(path: &Path) -> io::Result<()> {
    set_aside(path)?;
    remove_aside(path)
}

/// The fast first half of [`remove_folder`]: a rename to `….deleted`.
///
/// # Errors
///
/// The same as [`remove_folder`].
pub fn set_aside(path: &Path) -> io::Result<()> {
    if !path.try_exists()? {
        return Ok(());
    }
    remove_aside(path)?; // Left behind by a crash, it would be in the way.
    fs::rename(path, aside(path))
}

/// The second half of [`remove_folder`].
///
/// # Errors
///
/// The same as [`remove_folder`].
pub fn remove_aside(path: &Path) -> io::Result<()> {
    let path = aside(path);
    if path.is_dir() { remove_all(&path) } else { remove_file(&path) }
}

/// Whether an error says that there is no room, on the disk or for this user.
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
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(write(&folder.path().join("no/such/folder"), b"x").is_err());
    }

    #[test]
    fn a_folder_is_removed_even_when_a_crash_left_one_half_removed() {
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
    fn removing_a_folder_that_is_not_there_is_fine() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("file"), b"x").unwrap();
        remove_folder(&path).unwrap();
        remove_folder(&path).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
