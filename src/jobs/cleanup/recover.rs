//! Deletes files that a crash left behind. This happens when a server starts.
//!
//! A deletion removes the row before the files, and a creation writes the files before the row. After a crash, files
//! without a row are therefore not needed.

use std::fs;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use crate::disk;
use crate::jobs::Jobs;
use crate::store;
use crate::store::ids::{DatasetId, JobId, ModelId};

impl Jobs {
    /// Deletes files that have no row in the database.
    pub(in crate::jobs) async fn delete_orphans(&self) -> anyhow::Result<()> {
        let db = &self.0.db;
        for (path, id) in named::<JobId>(&self.0.folder.root().join("jobs"))? {
            if store::jobs::find(db, id).await?.is_none() {
                remove(&path);
            } else if let Err(error) = disk::remove_leftovers(&path) {
                warn!("cannot clean up {}: {error}", path.display());
            }
        }
        for (path, id) in named::<DatasetId>(&self.0.folder.root().join("datasets"))? {
            if store::datasets::find(db, id).await?.is_none() {
                remove(&path);
            }
        }
        for (path, id) in named::<ModelId>(&self.0.folder.root().join("models"))? {
            if store::models::find(db, id).await?.is_none() {
                remove(&path);
            }
        }
        Ok(())
    }
}

/// Returns the folders that are named after an ID. Removes those that an interrupted deletion has already renamed.
fn named<Id: std::str::FromStr>(folder: &Path) -> std::io::Result<Vec<(PathBuf, Id)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        if let Ok(id) = name.parse() {
            found.push((path, id));
        } else if name.strip_suffix(".deleted").is_some_and(|name| name.parse::<Id>().is_ok()) {
            remove(&path);
        }
    }
    Ok(found)
}

fn remove(path: &Path) {
    info!("deleting {}, which has no row in the database", path.display());
    // The next server to start tries again.
    if let Err(error) = disk::remove_folder(path) {
        warn!("cannot delete {}: {error}", path.display());
    }
}
