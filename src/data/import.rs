//! From an uploaded archive to a data set on disk.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::archive::Archive;
use super::cache::{INPUTS, SQUARES};
use super::decoding::{self, DecodeOutcome, Stored};
use super::manifest::{FORMAT_VERSION, Manifest, Picture, Split, content_hash};
use super::options::{
    BAD_PICTURE, ImportError, ImportOptions, ImportProgress, MAX_TABLE_BYTES, OnProgress,
    extension, is_picture,
};
use super::plan::{self, PlannedPicture};
use super::report::ImportReport;
use super::{MANIFEST, copies, split};
use crate::disk;
use crate::geometry::Rect;

/// Imports `archive` as the folder `dir`, which exists whole afterwards, or not at all.
///
/// # Errors
///
/// [`ImportError`], whose text is meant for the user.
pub fn import(
    archive: &Path,
    dir: &Path,
    options: &ImportOptions,
    progress: &OnProgress<'_>,
) -> Result<Manifest, ImportError> {
    let work = work_folder(dir);
    let fresh = || {
        disk::remove_folder(&work)?;
        fs::create_dir_all(&work)
    };
    fresh().map_err(ImportError::of_disk)?;
    let imported = import_into(archive, &work, options, progress).and_then(|manifest| {
        let publish = || {
            fs::rename(&work, dir)?;
            disk::sync_folder(dir.parent().unwrap_or(Path::new(".")))
        };
        publish().map_err(ImportError::of_disk).map(|()| manifest)
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
    progress: &OnProgress<'_>,
) -> Result<Manifest, ImportError> {
    let archive = Archive::open(archive, options.archive)?;
    let mut report = ImportReport::default();
    let (tables, names) = survey(&archive, progress, &mut report)?;
    if names.is_empty() {
        return Err(ImportError::NoPictures);
    }
    let planned = plan::plan(&tables, &names, &mut report)?;
    drop(tables);
    let mut planned: Vec<(String, PlannedPicture)> = planned.into_iter().collect();
    let names: Vec<&str> = planned.iter().map(|(name, _)| name.as_str()).collect();
    let count = names.len();
    check_room(work, count, options)?;
    let mut outcomes = decoding::decode_all(&archive, &names, work, options, progress)?;
    copies::merge(&mut planned, &mut outcomes, &mut report);

    let mut kept = Kept::default();
    let mut first_bad = None;
    for (slot, ((name, plan), outcome)) in planned.iter().zip(outcomes).enumerate() {
        let picture = match outcome {
            DecodeOutcome::CopyOf(_) => continue,
            DecodeOutcome::Bad(reason) => Err(reason),
            DecodeOutcome::Stored(stored) => {
                picture(name, plan, &stored, &mut report).map(|picture| (picture, stored))
            }
        };
        match picture {
            Ok((picture, stored)) => kept.add(slot, picture, &stored, plan.split.is_none()),
            Err(reason) => {
                first_bad.get_or_insert_with(|| (name.clone(), reason.clone()));
                report.add(BAD_PICTURE, name, None, format!("{reason}; it was left out"));
            }
        }
    }
    let Kept { slots, moved, mut pictures, hashes, open } = kept;
    if pictures.is_empty() {
        let (name, reason) = first_bad.unwrap_or_default();
        return Err(ImportError::AllBad { count, name, reason });
    }
    split_open(&mut pictures, &open, options);
    check(&pictures, &report)?;
    close_gaps(work, &moved, &slots).map_err(ImportError::of_disk)?;
    let content_hash = content_hash(&pictures, &hashes);
    let manifest = Manifest { format_version: FORMAT_VERSION, content_hash, pictures, report };
    let text = serde_json::to_vec(&manifest).map_err(|error| ImportError::of_disk(error.into()))?;
    disk::write(&work.join(MANIFEST), &text).map_err(ImportError::of_disk)?;
    Ok(manifest)
}

/// The pictures that can be used, as parallel lists.
#[derive(Default)]
struct Kept {
    /// Their slots in the cache, in order.
    slots: Vec<usize>,
    /// Slots to copy pixels between first: of identical files, another one than the one to keep was decoded.
    moved: Vec<(usize, usize)>,
    pictures: Vec<Picture>,
    /// SHA-256 of each picture's file.
    hashes: Vec<[u8; 32]>,
    /// Whether the server chooses their split.
    open: Vec<bool>,
}

impl Kept {
    fn add(&mut self, slot: usize, picture: Picture, stored: &Stored, open: bool) {
        if stored.slot != slot {
            self.moved.push((stored.slot, slot));
        }
        self.slots.push(slot);
        self.pictures.push(picture);
        self.hashes.push(stored.hash);
        self.open.push(open);
    }
}

/// Path and content of each table, sorted by path.
type Tables = Vec<(String, Vec<u8>)>;

/// First pass: the tables' content and the pictures' paths.
fn survey(
    archive: &Archive,
    progress: &OnProgress<'_>,
    report: &mut ImportReport,
) -> Result<(Tables, BTreeSet<String>), ImportError> {
    let mut seen = BTreeSet::new();
    let mut duplicates = Vec::new();
    let mut wanted = |path: &str| {
        let is_table = extension(path) == "csv";
        let is_new = !(is_table || is_picture(path)) || seen.insert(path.to_owned());
        if !is_new {
            duplicates.push(path.to_owned());
        }
        let flow = progress(ImportProgress { done: 0, total: 0 });
        flow.map_continue(|()| is_table && is_new)
    };
    let mut tables = Tables::new();
    let mut room = MAX_TABLE_BYTES;
    archive.visit(&mut wanted, &mut |path, content| {
        let mut bytes = Vec::new();
        room = room.saturating_sub(content.take(room + 1).read_to_end(&mut bytes)? as u64);
        tables.push((path.to_owned(), bytes));
        Ok(())
    })?;
    if room == 0 {
        return Err(ImportError::TablesTooLarge);
    }
    for path in duplicates {
        let reason = "is in the archive more than once; the first one is used".to_owned();
        report.add("duplicate file", &path, None, reason);
    }
    tables.sort();
    seen.retain(|path| is_picture(path));
    Ok((tables, seen))
}

/// Checked now rather than after an hour of decoding.
fn check_room(work: &Path, pictures: usize, options: &ImportOptions) -> Result<(), ImportError> {
    let disk = rustix::fs::statvfs(work).map_err(|error| ImportError::of_disk(error.into()))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let free = free.saturating_sub(options.reserve_bytes).min(options.most_bytes);
    let needed = (pictures * (SQUARES.stride() + INPUTS.stride())) as u64;
    if needed > free {
        return Err(ImportError::NoRoom { needed_mb: needed >> 20, free_mb: free >> 20 });
    }
    Ok(())
}

/// Boxes as fractions of the picture; parts outside are cut off, boxes outside are reported.
fn picture(
    name: &str,
    plan: &PlannedPicture,
    stored: &Stored,
    report: &mut ImportReport,
) -> Result<Picture, String> {
    let (width, height) = (stored.width as f32, stored.height as f32);
    let (mut faces, mut keypoints, mut difficulties) = (Vec::new(), Vec::new(), Vec::new());
    for face in &plan.faces {
        let [x, y, w, h] = face.pixels;
        let mut problem = |kind: &str, reason: String| {
            report.add(
                kind,
                &face.file,
                Some(face.row),
                format!("the box {x},{y},{w},{h} {reason}"),
            );
        };
        let whole = Rect::from([y / height, x / width, (y + h) / height, (x + w) / width]);
        let Some(inside) = whole.clipped() else {
            let reason = format!("lies outside {name}, which is {width} × {height} pixels");
            problem("box outside the picture", reason);
            continue;
        };
        // A pixel over the edge is rounding, and not reported.
        let is_over = (whole.width() - inside.width()) * width > 1.5
            || (whole.height() - inside.height()) * height > 1.5;
        if is_over {
            let reason = format!("reaches over the edge of {name}; it was cut off there");
            problem("box over the edge", reason);
        }
        faces.push(inside);
        keypoints.push(face.keypoints.map(|at| at.map(|[x, y]| [x / width, y / height])));
        difficulties.push(face.difficulty);
    }
    if keypoints.iter().flatten().all(Option::is_none) {
        keypoints.clear();
    }
    if difficulties.iter().all(Option::is_none) {
        difficulties.clear();
    }
    if faces.is_empty() && !plan.faces.is_empty() {
        return Err("has only boxes that lie outside it".to_owned());
    }
    Ok(Picture {
        name: name.to_owned(),
        split: plan.split.unwrap_or(Split::Train),
        width: stored.width,
        height: stored.height,
        letterbox: stored.letterbox,
        faces,
        keypoints,
        difficulties,
    })
}

/// Moves the pictures up over the slots of bad ones and copies, in both files.
fn close_gaps(work: &Path, moved: &[(usize, usize)], slots: &[usize]) -> io::Result<()> {
    for kind in [SQUARES, INPUTS] {
        let file = kind.open_to_write(work)?;
        let up = slots.iter().enumerate().map(|(index, &slot)| (slot, index));
        for (from, to) in moved.iter().copied().chain(up).filter(|(from, to)| from != to) {
            let bytes = kind.read(&file, from)?;
            kind.write(&file, to, &bytes)?;
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

/// Refuses data sets that cannot be trained on or measured on.
fn check(pictures: &[Picture], report: &ImportReport) -> Result<(), ImportError> {
    let has_face = |side: Split| pictures.iter().any(|p| p.split == side && !p.faces.is_empty());
    if pictures.iter().all(|picture| picture.faces.is_empty()) {
        let reason = report.problems.first().map_or_else(
            || "the annotations have no rows with a box".to_owned(),
            ToString::to_string,
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
