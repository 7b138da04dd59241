//! What a job has at first that goes on where another one ended.

use std::fs;
use std::io;
use std::path::Path;

use super::diagnostics::files;
use super::events::MetricsRow;
use super::job_dir::JobDir;
use crate::disk;

/// What a result is made of, should no epoch become better.
const WEIGHTS: [&str; 2] = ["best-weights.safetensors", "last-weights.safetensors"];

/// Copies the checkpoints of the job in `ended`, and the sample views that its `rows` name, to `dir`, which is
/// not there yet; a worker goes on from them then. All is on disk when this returns.
///
/// # Errors
///
/// Whatever the file system says; a part of the files may be there then.
pub fn copy(ended: &JobDir, rows: &[MetricsRow], dir: &JobDir) -> io::Result<()> {
    for folder in [dir.checkpoints(), dir.artifacts()] {
        fs::create_dir_all(folder)?;
    }
    for file in files::written(&ended.artifacts(), rows)?.artifacts {
        copy_file(&ended.artifacts(), &file.name, &dir.artifacts())?;
    }
    for name in WEIGHTS {
        copy_file(&ended.checkpoints(), name, &dir.checkpoints())?;
    }
    disk::write(&dir.last_checkpoint(), &fs::read(ended.last_checkpoint())?)?;
    disk::sync_folder(dir.path())?;
    dir.path().parent().map_or(Ok(()), disk::sync_folder)
}

fn copy_file(from: &Path, name: &str, to: &Path) -> io::Result<()> {
    disk::write(&to.join(name), &fs::read(from.join(name))?)
}
