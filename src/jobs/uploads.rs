//! Unfinished uploads, which a client can resume after a broken connection or a restart of the server.
//!
//! Each consists of two files in `uploads/`: `<id>.json` describes the upload, and `<id>.part` holds the bytes that
//! have arrived so far. The upload's ID becomes the data set's ID.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::Jobs;
use crate::data::LabelOptions;
use crate::disk;
use crate::store;
use crate::store::ids::DatasetId;

/// How long an unfinished upload is kept after its last byte.
pub const KEPT_FOR: Duration = Duration::from_hours(7 * 24);

/// What a client announced about an upload: the content of `<id>.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UploadNote {
    /// Number of bytes in total.
    pub length: u64,
    /// Name of the data set.
    pub name: String,
    /// What the user says about the labels.
    pub labels: LabelOptions,
    /// When the upload began; RFC 3339.
    pub created_at: String,
    /// Whether this is only a part of an archive, to be joined with others.
    pub is_part: bool,
    /// The parts to join into this upload, in order, with their lengths.
    #[serde(default)]
    pub parts: Vec<(DatasetId, u64)>,
}

/// An unfinished upload.
#[derive(Debug, Clone)]
pub struct UnfinishedUpload {
    /// Its ID, which becomes the data set's ID.
    pub id: DatasetId,
    /// What the client announced.
    pub note: UploadNote,
    folder: PathBuf,
}

impl UnfinishedUpload {
    /// Returns the number of bytes that have arrived.
    ///
    /// # Errors
    ///
    /// Any file system error. A missing file means that the upload has been finished or deleted.
    pub fn offset(&self) -> io::Result<u64> {
        Ok(fs::metadata(self.part())?.len())
    }

    /// Opens the file to append to. Bytes after `offset` are cut off.
    ///
    /// # Errors
    ///
    /// Any file system error.
    pub fn open_at(&self, offset: u64) -> io::Result<File> {
        let file = OpenOptions::new().append(true).open(self.part())?;
        file.set_len(offset)?;
        Ok(file)
    }

    /// Returns the path of the file with the bytes that have arrived so far.
    pub fn part(&self) -> PathBuf {
        self.folder.join(format!("{}.part", self.id))
    }

    fn note_file(&self) -> PathBuf {
        self.folder.join(format!("{}.json", self.id))
    }

    fn remove(&self) -> io::Result<()> {
        disk::remove_file(&self.part())?;
        disk::remove_file(&self.note_file())
    }

    /// Joins the parts into one file. If a crash interrupts this, call it again to continue.
    fn join(&self) -> io::Result<()> {
        let mut end = 0;
        for (id, length) in &self.note.parts {
            let source = self.folder.join(format!("{id}.part"));
            if end == 0 && source.exists() {
                fs::rename(&source, self.part())?;
            } else if let Ok(mut bytes) = File::open(&source) {
                let mut file = self.open_at(end)?;
                io::copy(&mut bytes, &mut file)?;
                file.sync_all()?;
                fs::remove_file(&source)?;
            }
            disk::remove_file(&self.folder.join(format!("{id}.json")))?;
            end += length;
        }
        Ok(())
    }
}

impl Jobs {
    /// Creates an upload, or joins finished parts into one.
    ///
    /// # Errors
    ///
    /// Any file system error.
    pub async fn create_upload(&self, note: UploadNote) -> io::Result<UnfinishedUpload> {
        let upload =
            UnfinishedUpload { id: DatasetId::new(), note, folder: self.0.folder.uploads() };
        let created = upload.clone();
        spawn_blocking(move || {
            File::create_new(upload.part())?.sync_all()?;
            disk::write(&upload.note_file(), &serde_json::to_vec(&upload.note)?)?;
            upload.join()
        })
        .await??;
        Ok(created)
    }

    /// Returns an upload that a client announced, finished or not; `None` if there is none with this ID.
    ///
    /// # Errors
    ///
    /// Any file system error.
    pub fn upload(&self, id: DatasetId) -> io::Result<Option<UnfinishedUpload>> {
        let folder = self.0.folder.uploads();
        match fs::read(folder.join(format!("{id}.json"))) {
            Ok(text) => {
                Ok(Some(UnfinishedUpload { id, note: serde_json::from_slice(&text)?, folder }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the unfinished uploads and their offsets, newest first.
    ///
    /// # Errors
    ///
    /// Any file system error.
    pub fn uploads(&self) -> io::Result<Vec<(UnfinishedUpload, u64)>> {
        let mut found = Vec::new();
        for id in self.upload_ids()? {
            if let Some(upload) = self.upload(id)?
                && let Ok(offset) = upload.offset()
            {
                found.push((upload, offset));
            }
        }
        found.sort_by_key(|(upload, _)| std::cmp::Reverse(upload.id));
        Ok(found)
    }

    /// Deletes an unfinished upload.
    ///
    /// # Errors
    ///
    /// Any file system error.
    pub fn delete_upload(&self, upload: &UnfinishedUpload) -> io::Result<()> {
        upload.remove()
    }

    /// Begins the import of an upload if all of its bytes are there. Returns whether they are.
    ///
    /// # Errors
    ///
    /// Fails if the archive cannot be moved or the database cannot be used.
    pub async fn finish_upload(&self, upload: &UnfinishedUpload) -> anyhow::Result<bool> {
        let UnfinishedUpload { id, note, .. } = upload;
        if note.is_part {
            return Ok(upload.offset()? == note.length);
        }
        let (part, archive) = (upload.part(), self.0.folder.upload(*id));
        match upload.offset() {
            Ok(offset) if offset < note.length => return Ok(false),
            Ok(_) => {
                let place = archive.clone();
                spawn_blocking(move || {
                    File::open(&part)?.sync_all()?;
                    fs::rename(&part, &place)?;
                    disk::sync_folder(place.parent().unwrap_or(Path::new(".")))
                })
                .await??;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        // A crash may have occurred after the rename but before the import was queued.
        if archive.exists() && store::datasets::find(&self.0.db, *id).await?.is_none() {
            self.begin_import(*id, &note.name, None, &note.labels).await?;
        }
        Ok(true)
    }

    /// Completes what a crash interrupted, and deletes uploads that nobody has continued for [`KEPT_FOR`].
    pub(super) async fn recover_uploads(&self) -> anyhow::Result<()> {
        for id in self.upload_ids()? {
            let Some(upload) = self.upload(id)? else { continue };
            let joined = upload.clone();
            if let Err(error) = spawn_blocking(move || joined.join()).await? {
                warn!("cannot join the parts of upload {id}: {error}");
                continue;
            }
            self.finish_upload(&upload).await?;
        }
        self.delete_stale_uploads()?;
        Ok(())
    }

    /// Deletes uploads that nobody has continued for [`KEPT_FOR`].
    pub(super) fn delete_stale_uploads(&self) -> io::Result<()> {
        for id in self.upload_ids()? {
            let Some(upload) = self.upload(id)? else { continue };
            let changed = fs::metadata(upload.part()).or_else(|_| fs::metadata(upload.note_file()));
            let age = SystemTime::now().duration_since(changed?.modified()?).unwrap_or_default();
            if age > KEPT_FOR {
                info!("deleting upload {id}, which nobody has continued for a week");
                upload.remove()?;
            }
        }
        Ok(())
    }

    fn upload_ids(&self) -> io::Result<Vec<DatasetId>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(self.0.folder.uploads())? {
            let name = entry?.file_name();
            let id = name
                .to_str()
                .and_then(|name| name.strip_suffix(".json")?.parse::<DatasetId>().ok());
            ids.extend(id);
        }
        Ok(ids)
    }
}
