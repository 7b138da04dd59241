//! From an uploaded archive to a data set on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, sync_channel};

use sha2::{Digest, Sha256};

use super::archive::{Archive, ArchiveError, ArchiveLimits};
use super::cache::{INPUTS, SQUARES};
use super::decode::{self, PictureError};
use super::manifest::{Manifest, Picture, Split, content_hash};
use super::plan::{self, PlanError, Planned};
use super::report::Report;
use super::{MANIFEST, split};
use crate::disk;
use crate::geometry::{Letterbox, Rect};

/// How to import.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// What an archive may hold.
    pub archive: ArchiveLimits,
    /// Pictures of more megapixels are left out.
    pub megapixels: u32,
    /// Share of the pictures measured on, where the archive does not say.
    pub val_share: f64,
    /// Of that split.
    pub seed: u64,
    /// Threads that decode.
    pub threads: usize,
}

impl Default for ImportOptions {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let archive = ArchiveLimits::default();
        Self { archive, megapixels: 100, val_share: 0.2, seed: 0, threads }
    }
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Pictures decoded.
    pub done: usize,
    /// Pictures in all.
    pub total: usize,
}

/// Nothing was imported, and nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The archive is refused.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The tables cannot be understood.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// There is no picture.
    #[error("the archive holds no pictures (.jpg, .png, .webp, .bmp, .gif or .tiff)")]
    NoPictures,
    /// Every picture is bad.
    #[error("none of the archive's {count} pictures can be used; the first, {name}, {reason}")]
    AllBad {
        /// How many.
        count: usize,
        /// The first.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No usable face.
    #[error("no picture has a usable face: {0}")]
    NoFaces(String),
    /// One split is empty.
    #[error(
        "there is no usable {0} picture with a face; add some, or leave the split to the server"
    )]
    EmptySplit(&'static str),
    /// Told to stop.
    #[error("the import was cancelled")]
    Cancelled,
    /// Writing failed.
    #[error("cannot write the data set; is the disk full?")]
    Disk(#[source] io::Error),
}

const PICTURES: [&str; 8] = ["jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff"];
/// Encoded pictures waiting to be decoded, a thread.
const WAITING: usize = 4;
/// No table is larger.
const MAX_TABLE_BYTES: u64 = 1 << 30;

/// Imports `archive` as the folder `dir`, which is there whole afterwards or not at all.
///
/// `progress` is called from several threads, and ends the import by breaking.
///
/// # Errors
///
/// [`ImportError`], whose text is meant for the user.
pub fn import(
    archive: &Path,
    dir: &Path,
    options: &ImportOptions,
    progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
) -> Result<Manifest, ImportError> {
    let work = work_folder(dir);
    let fresh = || {
        disk::remove_folder(&work)?;
        fs::create_dir_all(&work)
    };
    fresh().map_err(ImportError::Disk)?;
    let imported = import_into(archive, &work, options, progress).and_then(|manifest| {
        let publish = || {
            fs::rename(&work, dir)?;
            disk::sync_folder(dir.parent().unwrap_or(Path::new(".")))
        };
        publish().map_err(ImportError::Disk).map(|()| manifest)
    });
    if imported.is_err() {
        let _ = disk::remove_folder(&work); // The next import of this id removes it otherwise.
    }
    imported
}

/// Where an import works before its folder appears.
pub fn work_folder(dir: &Path) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push(".importing");
    name.into()
}

fn import_into(
    archive: &Path,
    work: &Path,
    options: &ImportOptions,
    progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
) -> Result<Manifest, ImportError> {
    let archive = Archive::open(archive, options.archive)?;
    let mut report = Report::default();
    let (tables, names) = survey(&archive, &mut report)?;
    if names.is_empty() {
        return Err(ImportError::NoPictures);
    }
    let planned = plan::plan(&tables, &names, &mut report)?;
    let names: Vec<&String> = planned.keys().collect();
    let results = decode_all(&archive, &names, work, options, progress)?;

    let mut kept = Vec::new();
    let mut first_bad = None;
    for (index, ((name, plan), result)) in planned.iter().zip(results).enumerate() {
        match result.unwrap_or_else(|| Err("is missing".to_owned())) {
            Ok(stored) => {
                kept.push((index, picture(name, plan, &stored, &mut report), plan, stored));
            }
            Err(reason) => {
                first_bad.get_or_insert((name.clone(), reason.clone()));
                report.add("bad picture", name, None, format!("{reason}; it was left out"));
            }
        }
    }
    if kept.is_empty() {
        let (name, reason) = first_bad.unwrap_or_default();
        return Err(ImportError::AllBad { count: names.len(), name, reason });
    }
    let slots: Vec<usize> = kept.iter().map(|(slot, ..)| *slot).collect();
    close_gaps(work, &slots).map_err(ImportError::Disk)?;
    let hashes: Vec<[u8; 32]> = kept.iter().map(|(.., stored)| stored.hash).collect();
    let open: Vec<bool> = kept.iter().map(|(_, _, plan, _)| plan.split.is_none()).collect();
    let mut pictures: Vec<Picture> = kept.into_iter().map(|(_, picture, ..)| picture).collect();
    split_open(&mut pictures, &open, options);
    check(&pictures, &report)?;
    let content_hash = content_hash(&pictures, &hashes);
    let manifest = Manifest { format_version: 1, content_hash, pictures, report };
    let text = serde_json::to_vec(&manifest).map_err(|error| ImportError::Disk(error.into()))?;
    disk::write(&work.join(MANIFEST), &text).map_err(ImportError::Disk)?;
    Ok(manifest)
}

/// Path and content of each table, and the pictures' paths.
type Survey = (Vec<(String, Vec<u8>)>, BTreeSet<String>);

/// First pass: the tables' content and the pictures' paths.
fn survey(archive: &Archive, report: &mut Report) -> Result<Survey, ImportError> {
    let mut tables = Vec::new();
    let names = Mutex::new((BTreeSet::new(), Vec::new()));
    let wanted = |path: &str| {
        if is_picture(path) {
            let mut names = names.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if !names.0.insert(path.to_owned()) {
                names.1.push(path.to_owned());
            }
        }
        extension(path) == "csv"
    };
    archive.visit(&wanted, &mut |path, content| {
        let mut bytes = Vec::new();
        content.take(MAX_TABLE_BYTES).read_to_end(&mut bytes)?;
        tables.push((path.to_owned(), bytes));
        Ok(())
    })?;
    let (names, twice) = names.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    for name in twice {
        let reason = "is in the archive twice; the first one is used".to_owned();
        report.add("duplicate picture", &name, None, reason);
    }
    tables.sort();
    Ok((tables, names))
}

fn extension(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase()).unwrap_or_default()
}

fn is_picture(path: &str) -> bool {
    PICTURES.contains(&extension(path).as_str())
}

/// What is known of a picture whose pixels are in the cache.
struct Stored {
    width: u32,
    height: u32,
    letterbox: Letterbox,
    hash: [u8; 32],
}

type Outcome = Option<Result<Stored, String>>;

/// Second pass: every picture is decoded once and written to its slot, several at a time.
fn decode_all(
    archive: &Archive,
    names: &[&String],
    work: &Path,
    options: &ImportOptions,
    progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
) -> Result<Vec<Outcome>, ImportError> {
    let slots: BTreeMap<&str, usize> =
        names.iter().enumerate().map(|(slot, name)| (name.as_str(), slot)).collect();
    let files = Files {
        squares: SQUARES.create(work).map_err(ImportError::Disk)?,
        inputs: INPUTS.create(work).map_err(ImportError::Disk)?,
    };
    let threads = options.threads.max(1);
    let shared = Shared {
        files,
        megapixels: options.megapixels,
        outcomes: Mutex::new((names.iter().map(|_| None).collect(), 0)),
        stopped: Mutex::new(None),
        progress,
    };
    let (queue, waiting) = sync_channel::<(usize, Vec<u8>)>(threads * WAITING);
    let waiting = Mutex::new(waiting);
    let visited = std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| shared.work(&waiting));
        }
        let mut seen = vec![false; names.len()];
        let visited = archive.visit(&|path| is_picture(path), &mut |path, content| {
            let Some(&slot) = slots.get(path) else { return Ok(()) };
            if std::mem::replace(&mut seen[slot], true) {
                return Ok(());
            }
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes)?;
            // The threads are gone only when they have been stopped.
            queue.send((slot, bytes)).map_err(|_| io::Error::other("stopped"))
        });
        drop(queue);
        visited
    });
    if let Some(error) = lock(&shared.stopped).take() {
        return Err(error);
    }
    visited?;
    for file in [&shared.files.squares, &shared.files.inputs] {
        file.sync_all().map_err(ImportError::Disk)?;
    }
    Ok(std::mem::take(&mut lock(&shared.outcomes).0))
}

struct Files {
    squares: File,
    inputs: File,
}

/// What the decoding threads have in common.
struct Shared<'a> {
    files: Files,
    megapixels: u32,
    /// One a picture, and how many there are.
    outcomes: Mutex<(Vec<Outcome>, usize)>,
    stopped: Mutex<Option<ImportError>>,
    progress: &'a (dyn Fn(Progress) -> ControlFlow<()> + Sync),
}

impl Shared<'_> {
    /// Decodes what waits until nothing more comes, or something stops it.
    fn work(&self, waiting: &Mutex<Receiver<(usize, Vec<u8>)>>) {
        loop {
            let next = lock(waiting).recv();
            let Ok((slot, bytes)) = next else { return };
            if lock(&self.stopped).is_some() {
                continue; // Drains the queue, so that the reader does not wait for ever.
            }
            let stop = |error| *lock(&self.stopped) = Some(error);
            match self.store(slot, &bytes) {
                Ok(outcome) => {
                    let mut outcomes = lock(&self.outcomes);
                    outcomes.0[slot] = Some(outcome.map_err(|error| error.to_string()));
                    outcomes.1 += 1;
                    let progress = Progress { done: outcomes.1, total: outcomes.0.len() };
                    drop(outcomes);
                    if (self.progress)(progress).is_break() {
                        stop(ImportError::Cancelled);
                    }
                }
                Err(error) => stop(ImportError::Disk(error)),
            }
        }
    }

    fn store(&self, slot: usize, bytes: &[u8]) -> io::Result<Result<Stored, PictureError>> {
        let decoded = match decode::decode(bytes, self.megapixels) {
            Ok(decoded) => decoded,
            Err(error) => return Ok(Err(error)),
        };
        SQUARES.write(&self.files.squares, slot, &decoded.square)?;
        INPUTS.write(&self.files.inputs, slot, &decoded.input)?;
        let hash = Sha256::digest(bytes).into();
        let (width, height, letterbox) = (decoded.width, decoded.height, decoded.letterbox);
        Ok(Ok(Stored { width, height, letterbox, hash }))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Boxes as fractions of the picture; what lies outside is cut off or reported.
fn picture(name: &str, plan: &Planned, stored: &Stored, report: &mut Report) -> Picture {
    let (width, height) = (stored.width as f32, stored.height as f32);
    let mut faces = Vec::new();
    for face in &plan.faces {
        let [x, y, w, h] = face.pixels;
        let whole = Rect::from([y / height, x / width, (y + h) / height, (x + w) / width]);
        match whole.clipped() {
            None => {
                let reason = format!(
                    "the box {x},{y},{w},{h} lies outside {name}, which is {width} × {height} pixels"
                );
                report.add("box outside the picture", &face.file, Some(face.row), reason);
            }
            Some(rect) => {
                // A pixel over the edge is rounding, not worth a word.
                let over = (whole.width() - rect.width()) * width > 1.5
                    || (whole.height() - rect.height()) * height > 1.5;
                if over {
                    let reason = format!(
                        "the box {x},{y},{w},{h} reaches over the edge of {name}; it was cut off there"
                    );
                    report.add("box over the edge", &face.file, Some(face.row), reason);
                }
                faces.push(rect);
            }
        }
    }
    Picture {
        name: name.to_owned(),
        split: plan.split.unwrap_or(Split::Train),
        width: stored.width,
        height: stored.height,
        letterbox: stored.letterbox,
        faces,
    }
}

/// Moves the pictures up over the slots of bad ones, in both files.
fn close_gaps(work: &Path, slots: &[usize]) -> io::Result<()> {
    for kind in [SQUARES, INPUTS] {
        let file = kind.open_to_write(work)?;
        for (index, &slot) in slots.iter().enumerate() {
            if index != slot {
                let bytes = kind.read(&file, slot)?;
                kind.write(&file, index, &bytes)?;
            }
        }
        file.set_len((slots.len() * kind.stride()) as u64)?;
        file.sync_all()?;
    }
    Ok(())
}

fn split_open(pictures: &mut [Picture], open: &[bool], options: &ImportOptions) {
    let indices: Vec<usize> = (0..pictures.len()).filter(|&index| open[index]).collect();
    let keys: Vec<(&str, bool)> = indices
        .iter()
        .map(|&index| (pictures[index].name.as_str(), !pictures[index].faces.is_empty()))
        .collect();
    let splits = split::split(&keys, options.val_share, options.seed);
    for (index, side) in indices.into_iter().zip(splits) {
        pictures[index].split = side;
    }
}

/// Refuses what cannot be trained or measured on.
fn check(pictures: &[Picture], report: &Report) -> Result<(), ImportError> {
    let has_face = |side: Split| pictures.iter().any(|p| p.split == side && !p.faces.is_empty());
    if pictures.iter().all(|picture| picture.faces.is_empty()) {
        let reason = report.problems.first().map_or_else(
            || "the annotations have no rows with a box".to_owned(),
            |p| {
                format!(
                    "{}{}: {}",
                    p.file,
                    p.row.map_or(String::new(), |row| format!(" row {row}")),
                    p.reason
                )
            },
        );
        return Err(ImportError::NoFaces(reason));
    }
    for (side, name) in [(Split::Train, "training"), (Split::Val, "validation")] {
        if !has_face(side) {
            return Err(ImportError::EmptySplit(name));
        }
    }
    Ok(())
}
