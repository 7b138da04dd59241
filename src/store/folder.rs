//! The data folder: the database and all other files of the server.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::fs::flock;

use super::ids::{DatasetId, JobId, ModelId};

/// The name of the database file.
pub const DATABASE: &str = "blazetune.sqlite";

/// The data folder, locked until this value is dropped.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    lock: File,
}

/// The data folder cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another server is using the folder. With two servers, each would start every job.
    #[error(
        "another server is using the data folder {0}; stop it, or choose another folder with --data"
    )]
    Taken(PathBuf),
    /// The file system returned an error.
    #[error("cannot use the data folder {path}")]
    Io {
        /// The data folder.
        path: PathBuf,
        /// The error.
        #[source]
        source: io::Error,
    },
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Closing the file does not unlock it while a worker that is just starting still has a copy.
        let _ = flock(&self.lock, FlockOperation::Unlock); // If this fails, the lock ends with the process.
    }
}

impl Folder {
    /// Creates the folder if it is missing and locks it.
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
        for folder in ["uploads", "imports", "datasets", "jobs", "models"] {
            fs::create_dir_all(root.join(folder))?;
        }
        File::create(root.join("lock"))
    }

    /// Returns the path of the folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the path of the database file.
    pub fn database(&self) -> PathBuf {
        self.root.join(DATABASE)
    }

    /// Returns the path of the file that reserves disk space for the database.
    pub fn spare(&self) -> PathBuf {
        self.root.join("spare")
    }

    /// Returns the folder of archives that are waiting to be imported or are still being uploaded.
    pub fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    /// Returns the path of a data set's uploaded archive.
    pub fn upload(&self, id: DatasetId) -> PathBuf {
        self.uploads().join(id.to_string())
    }

    /// Returns the folder of the imports that have not ended.
    pub fn imports(&self) -> PathBuf {
        self.root.join("imports")
    }

    /// Returns the folder in which an import's worker runs.
    pub fn import(&self, id: DatasetId) -> PathBuf {
        self.imports().join(id.to_string())
    }

    /// Returns the folder of an imported data set.
    pub fn dataset(&self, id: DatasetId) -> PathBuf {
        self.root.join("datasets").join(id.to_string())
    }

    /// Returns the folder of a job, which its worker reads and writes.
    pub fn job(&self, id: JobId) -> PathBuf {
        self.root.join("jobs").join(id.to_string())
    }

    /// Returns the folder of an imported model.
    pub fn model(&self, id: ModelId) -> PathBuf {
        self.root.join("models").join(id.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_server_at_a_time_can_open_a_folder() {
        let root = tempfile::tempdir().unwrap();
        let first = Folder::open(root.path()).unwrap();
        let second = Folder::open(root.path()).unwrap_err();
        assert!(matches!(second, FolderError::Taken(_)), "{second}");
        let inherited = first.lock.try_clone().unwrap(); // A worker holds such a copy between fork and exec.
        drop(first);
        Folder::open(root.path()).unwrap();
        drop(inherited);
    }
}
