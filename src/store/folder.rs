//! The data folder: the database and the files beside it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::fs::flock;

use super::ids::{DatasetId, JobId, ModelId};

/// The database's file within the folder.
pub const DATABASE: &str = "blazetune.sqlite";

/// The folder, locked for as long as this lives.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    lock: File,
}

/// The data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another server is using it: each would start every job.
    #[error(
        "another server is using the data folder {0}; stop it, or give this one another folder with --data"
    )]
    Taken(PathBuf),
    /// The file system returned an error.
    #[error("cannot use the data folder {path}")]
    Io {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Closing the file is not enough while a worker that is just starting still has a copy of it.
        let _ = flock(&self.lock, FlockOperation::Unlock); // The system drops the lock at the process's end, too.
    }
}

impl Folder {
    /// Creates the folder if it is missing, and locks it.
    ///
    /// # Errors
    ///
    /// [`FolderError`].
    pub fn open(root: &Path) -> Result<Self, FolderError> {
        let failed = |source| FolderError::Io { path: root.to_owned(), source };
        let lock = Self::make(root).map_err(failed)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { root: root.canonicalize().map_err(failed)?, lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(FolderError::Taken(root.to_owned())),
            Err(error) => Err(failed(error.into())),
        }
    }

    fn make(root: &Path) -> io::Result<File> {
        for folder in ["uploads", "datasets", "jobs", "models"] {
            fs::create_dir_all(root.join(folder))?;
        }
        File::create(root.join("lock"))
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.root.join(DATABASE)
    }

    /// Disk space reserved for the database.
    pub fn spare(&self) -> PathBuf {
        self.root.join("spare")
    }

    /// Archives that are waiting for their import, or still being uploaded.
    pub fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    /// The archive of a data set.
    pub fn upload(&self, id: DatasetId) -> PathBuf {
        self.uploads().join(id.to_string())
    }

    /// An imported data set.
    pub fn dataset(&self, id: DatasetId) -> PathBuf {
        self.root.join("datasets").join(id.to_string())
    }

    /// What a worker reads and writes.
    pub fn job(&self, id: JobId) -> PathBuf {
        self.root.join("jobs").join(id.to_string())
    }

    /// Files of an imported model.
    pub fn model(&self, id: ModelId) -> PathBuf {
        self.root.join("models").join(id.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_for_one_server_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let first = Folder::open(root.path()).unwrap();
        let second = Folder::open(root.path()).unwrap_err();
        assert!(matches!(second, FolderError::Taken(_)), "{second}");
        let inherited = first.lock.try_clone().unwrap(); // As by a worker between its fork and its exec.
        drop(first);
        Folder::open(root.path()).unwrap();
        drop(inherited);
    }
}
