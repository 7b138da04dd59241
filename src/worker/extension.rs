//! What a job has at first that goes on where another one ended.

use std::fs;
use std::io;

use super::checkpoint;
use super::sheets;
use crate::disk;
use crate::protocol::folder::JobDir;

/// Copies the last checkpoint of the job in `ended`, and the sample views that its rows name, to `dir`, which is
/// not there yet; a worker goes on from them then. All is on disk when this returns.
///
/// # Errors
///
/// Whatever the file system says, and a checkpoint that is not there or damaged; a part of the files may be
/// there then.
pub fn copy(ended: &JobDir, dir: &JobDir) -> io::Result<()> {
    let found = checkpoint::newest(ended).map_err(io::Error::other)?;
    let newest = found.newest.ok_or_else(|| io::Error::other("there is no checkpoint"))?;
    for folder in [dir.checkpoints(), dir.artifacts()] {
        fs::create_dir_all(folder)?;
    }
    for file in sheets::written(&ended.artifacts(), &newest.state.rows)?.artifacts {
        let bytes = fs::read(ended.artifacts().join(&file.name))?;
        disk::write(&dir.artifacts().join(&file.name), &bytes)?;
    }
    // Twice: a job whose only checkpoint is damaged begins anew.
    for path in [dir.previous_checkpoint(), dir.last_checkpoint()] {
        disk::write(&path, &newest.bytes)?;
    }
    disk::sync_folder(dir.path())?;
    dir.path().parent().map_or(Ok(()), disk::sync_folder)
}
