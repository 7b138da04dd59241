//! Imports an uploaded archive as a data set on disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::archive::Archive;
use super::cache::{INPUTS, SQUARES};
use super::decoding::{self, DecodeOutcome, Stored};
use super::manifest::{FORMAT_VERSION, Manifest, Picture, Split, content_hash};
use super::options::{BAD_PICTURE, ImportError, ImportOptions, OnProgress};
use super::plan::{Plan, PlannedPicture, plan};
use super::reporter::Reporter;
use super::survey::{Survey, survey};
use super::{MANIFEST, copies, ignored, judge, split};
use crate::disk;
use crate::geometry::Rect;

/// Imports `archive` as the folder `dir`, which afterwards is either complete or absent.
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
        let _ = disk::remove_folder(&work); // If this fails, the next import removes it.
    }
    imported
}

/// Returns the folder that an import works in before it is renamed to `dir`.
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
    let mut report = Reporter::new(work);
    let Survey { labels, pictures } = survey(&archive, progress, &mut report)?;
    if pictures.is_empty() {
        return Err(ImportError::NoPictures);
    }
    let mut plan = plan(&labels, &pictures, &options.labels, &mut report)?;
    drop((labels, pictures));
    let names: Vec<&str> = plan.pictures.iter().map(|(name, _)| name.as_str()).collect();
    check_room(work, names.len(), options)?;
    let mut outcomes = decoding::decode_all(&archive, &names, work, options, progress)?;
    judge::judge(&mut plan, &stored(&outcomes), &mut report)?;
    judge::merge_repeated(&mut plan, &mut report);
    copies::merge(&mut plan, &mut outcomes, &mut report);
    let mut kept = keep(&plan, outcomes, &mut report)?;
    split_open(&mut kept.pictures, &kept.open, options);
    check(&kept.pictures, &report)?;
    close_gaps(work, &kept.moved, &kept.slots).map_err(ImportError::of_disk)?;
    let Kept { pictures, hashes, .. } = kept;
    ignored::paint(work, &pictures).map_err(ImportError::of_disk)?;
    report.told.files.used += pictures.len() as u64;
    report.told.rows.ignored = pictures.iter().map(|picture| picture.ignored.len() as u64).sum();
    report.told.rows.faces = pictures.iter().map(|picture| picture.faces.len() as u64).sum();
    let report = report.finish().map_err(ImportError::of_disk)?;
    debug_assert!(report.adds_up(), "{report:?}");
    let content_hash = content_hash(&pictures, &hashes);
    let manifest = Manifest { format_version: FORMAT_VERSION, content_hash, pictures, report };
    let text = serde_json::to_vec(&manifest).map_err(|error| ImportError::of_disk(error.into()))?;
    disk::write(&work.join(MANIFEST), &text).map_err(ImportError::of_disk)?;
    Ok(manifest)
}

/// Returns what is known about each picture; for a copy, about its original.
fn stored(outcomes: &[DecodeOutcome]) -> Vec<Option<&Stored>> {
    let of = |outcome: &DecodeOutcome| match outcome {
        DecodeOutcome::CopyOf(first) => *first,
        _ => usize::MAX,
    };
    let originals = outcomes.iter().map(|outcome| outcomes.get(of(outcome)).unwrap_or(outcome));
    let stored = originals.map(|outcome| match outcome {
        DecodeOutcome::Stored(stored) => Some(stored),
        DecodeOutcome::CopyOf(_) | DecodeOutcome::Bad(_) => None,
    });
    stored.collect()
}

/// Keeps the pictures that can be used, and reports the others.
fn keep(
    plan: &Plan,
    outcomes: Vec<DecodeOutcome>,
    report: &mut Reporter,
) -> Result<Kept, ImportError> {
    let mut kept = Kept::default();
    let mut first_bad = None;
    for (slot, ((name, planned), outcome)) in plan.pictures.iter().zip(outcomes).enumerate() {
        let picture = match outcome {
            DecodeOutcome::CopyOf(_) => continue,
            DecodeOutcome::Bad(reason) => {
                report.told.rows.lose(BAD_PICTURE, planned.faces.len() as u64);
                Err(reason)
            }
            DecodeOutcome::Stored(stored) => {
                picture(name, planned, &stored, report).map(|picture| (picture, stored))
            }
        };
        match picture {
            Ok((picture, stored)) => {
                if stored.is_flat {
                    let reason = "is nearly all one colour; check that it is the right picture";
                    report.add("picture of one colour", name, None, reason.to_owned());
                }
                kept.add(slot, picture, &stored, planned.split.is_none());
            }
            Err(reason) => {
                first_bad.get_or_insert_with(|| (name.clone(), reason.clone()));
                report.lose_file(BAD_PICTURE, name, format!("{reason}; it was left out"));
            }
        }
    }
    if kept.pictures.is_empty() {
        let (name, reason) = first_bad.unwrap_or_default();
        return Err(ImportError::AllBad { count: plan.pictures.len(), name, reason });
    }
    Ok(kept)
}

/// The pictures that can be used, as parallel lists.
#[derive(Default)]
struct Kept {
    /// Their slots in the cache, in order.
    slots: Vec<usize>,
    /// Pairs of slots: from a decoded file to the identical one that is kept. These pixels are copied first.
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

/// Checks for free disk space before decoding rather than after an hour of it.
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

/// Converts boxes to fractions of the picture. Parts outside are cut off; boxes outside are reported.
fn picture(
    name: &str,
    plan: &PlannedPicture,
    stored: &Stored,
    report: &mut Reporter,
) -> Result<Picture, String> {
    let (width, height) = (stored.width as f32, stored.height as f32);
    let (mut faces, mut ignored) = (Vec::new(), Vec::new());
    let (mut keypoints, mut difficulties) = (Vec::new(), Vec::new());
    for face in &plan.faces {
        let [x, y, w, h] = face.numbers;
        let sentence = |end: String| format!("the box {x},{y},{w},{h} {end}");
        let whole = Rect::from([y / height, x / width, (y + h) / height, (x + w) / width]);
        let Some(inside) = whole.clipped() else {
            let reason = format!("lies outside {name}, which is {width} × {height} pixels");
            report.lose_row("box outside the picture", &face.file, face.row, sentence(reason));
            continue;
        };
        // A pixel over the edge is due to rounding and is not reported.
        let is_over = (whole.width() - inside.width()) * width > 1.5
            || (whole.height() - inside.height()) * height > 1.5;
        if is_over {
            let reason = format!("reaches over the edge of {name}; it was cut off there");
            report.add("box over the edge", &face.file, Some(face.row), sentence(reason));
        }
        if face.is_ignored {
            ignored.push(inside);
            continue;
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
    if faces.is_empty() && ignored.is_empty() && (!plan.faces.is_empty() || plan.has_bad_rows) {
        return Err("has rows with boxes, but none of the boxes can be used".to_owned());
    }
    Ok(Picture {
        name: name.to_owned(),
        split: plan.split.unwrap_or(Split::Train),
        width: stored.width,
        height: stored.height,
        letterbox: stored.letterbox,
        faces,
        ignored,
        keypoints,
        difficulties,
    })
}

/// Closes the gaps that bad pictures and copies leave in both cache files.
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

/// Refuses a data set that cannot be trained or measured on.
fn check(pictures: &[Picture], report: &Reporter) -> Result<(), ImportError> {
    let has_face = |side: Split| pictures.iter().any(|p| p.split == side && !p.faces.is_empty());
    if pictures.iter().all(|picture| picture.faces.is_empty()) {
        let reason = report.told.problems.first().map_or_else(
            || "the annotations have no rows with a box".to_owned(),
            ToString::to_string,
        );
        return Err(ImportError::NoFaces(reason));
    }
    let trainable = pictures.iter().filter(|p| p.split != Split::Test && !p.faces.is_empty());
    if let [only] = trainable.collect::<Vec<_>>()[..] {
        return Err(ImportError::OnePicture(only.name.clone()));
    }
    for (side, name) in [(Split::Train, "training"), (Split::Val, "validation")] {
        if !has_face(side) {
            return Err(ImportError::EmptySplit(name));
        }
    }
    Ok(())
}
