//! The sample set: drawings of cartoon people. `MediaPipe`'s weights miss most of their faces, but a model can learn to
//! find them.
//!
//! Every picture depends only on `(seed, index)`, so the same spec gives the same bytes, and pictures can be drawn in
//! any order. [`write()`] makes a zip with `images/…jpg`, `train.csv` and `val.csv`. The columns `image_path,x1,y1,w,h`
//! give the top left corner and the size of a face's box in pixels. A picture without faces has no row in `train.csv`.
//! In `val.csv` it has a row with an empty box, which marks it as a validation picture.

mod archive;
mod canvas;
mod clutter;
mod colour;
mod dice;
mod expression;
mod features;
mod finish;
mod hair;
mod hats;
mod head;
mod indoors;
mod outdoors;
mod person;
mod profile;
mod scene;
mod visibility;

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use rayon::prelude::*;
use serde::Serialize;

use self::archive::SampleArchive;
use self::dice::Dice;
use self::visibility::Bounds;

/// Which pictures to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleSpec {
    /// Number of pictures.
    pub images: u32,
    /// The same seed always gives the same pictures.
    pub seed: u64,
}

impl Default for SampleSpec {
    fn default() -> Self {
        Self { images: 400, seed: 1 }
    }
}

/// The contents of the sample set that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SampleSummary {
    /// Number of pictures.
    pub images: u32,
    /// Number of validation pictures.
    pub val_images: u32,
    /// Number of pictures without a face.
    pub negatives: u32,
    /// Number of face boxes in both CSV files.
    pub faces: u32,
    /// Size of the zip in bytes.
    pub size_bytes: u64,
}

/// Why no sample set was written.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// Too few pictures for both training and validation, or too many for five-digit names.
    #[error("a sample set must have 5 to 100000 pictures, not {0}")]
    Images(u32),
    /// The zip cannot be written.
    #[error("cannot write the sample set to {}", path.display())]
    Write {
        /// The path of the zip.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// Draws the set and writes it to `out`, replacing an existing file. Calls `progress` with the number of pictures done.
///
/// # Errors
///
/// Returns a [`SampleError`] and leaves `out` unchanged.
pub fn write(
    out: &Path,
    spec: &SampleSpec,
    progress: &mut dyn FnMut(usize),
) -> Result<SampleSummary, SampleError> {
    if !(5..=100_000).contains(&spec.images) {
        return Err(SampleError::Images(spec.images));
    }
    write_zip(out, spec, progress)
        .map_err(|source| SampleError::Write { path: out.to_owned(), source })
}

fn write_zip(
    out: &Path,
    spec: &SampleSpec,
    progress: &mut dyn FnMut(usize),
) -> io::Result<SampleSummary> {
    let mut archive = SampleArchive::beside(out)?;
    let (mut train, mut val) = (HEADER.to_owned(), HEADER.to_owned());
    let mut summary =
        SampleSummary { images: spec.images, val_images: 0, negatives: 0, faces: 0, size_bytes: 0 };
    let indices: Vec<_> = (0..spec.images).collect();
    for batch in indices.chunks(4 * rayon::current_num_threads()) {
        let drawn: Vec<_> = batch.par_iter().map(|&i| draw(spec.seed, i)).collect();
        for (&index, picture) in batch.iter().zip(drawn) {
            let Picture { jpeg, faces } = picture?;
            let name = format!("images/{index:05}.jpg");
            archive.add(&name, &jpeg)?;
            let is_val = index % VAL_EVERY == VAL_EVERY - 1;
            rows(if is_val { &mut val } else { &mut train }, &name, &faces, is_val);
            summary.val_images += u32::from(is_val);
            summary.negatives += u32::from(faces.is_empty());
            summary.faces += faces.len() as u32;
            progress(index as usize + 1);
        }
    }
    archive.add("train.csv", train.as_bytes())?;
    archive.add("val.csv", val.as_bytes())?;
    summary.size_bytes = archive.finish(out)?;
    Ok(summary)
}

const HEADER: &str = "image_path,x1,y1,w,h\n";
/// One in this many pictures is for validation.
const VAL_EVERY: u32 = 5;
const JPEG_QUALITY: u8 = 90;

fn rows(csv: &mut String, name: &str, faces: &[Bounds], is_val: bool) {
    for face in faces {
        let (w, h) = (face.width(), face.height());
        // Writing to a `String` cannot fail.
        let _ = writeln!(csv, "{name},{:.1},{:.1},{w:.1},{h:.1}", face.x0, face.y0);
    }
    if is_val && faces.is_empty() {
        let _ = writeln!(csv, "{name},,,,");
    }
}

struct Picture {
    jpeg: Vec<u8>,
    faces: Vec<Bounds>,
}

fn draw(seed: u64, index: u32) -> io::Result<Picture> {
    let scene = scene::draw(&mut Dice::new(seed, index.into()));
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, JPEG_QUALITY);
    scene.picture.write_with_encoder(encoder).map_err(io::Error::other)?;
    Ok(Picture { jpeg, faces: scene.faces })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;

    use super::*;

    const SPEC: SampleSpec = SampleSpec { images: 30, seed: 1 };

    /// Returns the files of a zip by name.
    fn unzip(path: &Path) -> BTreeMap<String, Vec<u8>> {
        let mut zip = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
        let names: Vec<_> = zip.file_names().map(str::to_owned).collect();
        let mut read = |name: &String| {
            let mut bytes = Vec::new();
            zip.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
            (name.clone(), bytes)
        };
        names.iter().map(&mut read).collect()
    }

    /// Returns the rows of a CSV: the picture, and `[x1, y1, w, h]` if it has a face.
    fn parse(csv: &[u8]) -> Vec<(String, Option<[f32; 4]>)> {
        let mut reader = csv::Reader::from_reader(csv);
        assert_eq!(reader.headers().unwrap(), &["image_path", "x1", "y1", "w", "h"][..]);
        let row = |record: csv::Result<csv::StringRecord>| {
            let record = record.unwrap();
            let numbers: Vec<f32> = record.iter().skip(1).flat_map(str::parse).collect();
            (record[0].to_owned(), numbers.try_into().ok())
        };
        reader.records().map(row).collect()
    }

    #[test]
    fn the_zip_has_pictures_and_all_boxes_are_inside_them() {
        let folder = tempfile::tempdir().unwrap();
        let (out, mut heard) = (folder.path().join("sample.zip"), Vec::new());
        let summary = write(&out, &SPEC, &mut |done| heard.push(done)).unwrap();
        assert_eq!(heard, (1..=30).collect::<Vec<_>>());
        assert_eq!(std::fs::metadata(&out).unwrap().len(), summary.size_bytes);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a file is left over");

        let files = unzip(&out);
        let (train, val) = (parse(&files["train.csv"]), parse(&files["val.csv"]));
        let mut faces: BTreeMap<&str, u32> = BTreeMap::new();
        for (name, face) in train.iter().chain(&val) {
            let picture = image::load_from_memory(&files[name]).unwrap();
            let (width, height) = (picture.width() as f32, picture.height() as f32);
            if let Some([x, y, w, h]) = *face {
                assert!(x >= 0.0 && y >= 0.0 && w >= 4.0 && h >= 4.0, "{name} {face:?}");
                assert!(x + w <= width + 0.11 && y + h <= height + 0.11, "{name} {face:?}");
                *faces.entry(name).or_default() += 1;
            }
        }
        assert_eq!(files.keys().filter(|name| name.starts_with("images/")).count(), 30);
        assert_eq!(faces.values().sum::<u32>(), summary.faces);
        assert_eq!(30 - faces.len(), summary.negatives as usize);
        assert!(val.iter().all(|(name, _)| !train.iter().any(|(other, _)| other == name)));
        assert_eq!(summary.val_images, 6);
    }

    #[test]
    fn a_seed_fixes_every_byte_and_another_seed_changes_them() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = |name: &str, seed, threads| {
            let out = folder.path().join(name);
            let spec = SampleSpec { images: 5, seed };
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| write(&out, &spec, &mut |_| {})).unwrap();
            std::fs::read(out).unwrap()
        };
        let first = bytes("a.zip", 7, 1);
        assert!(first == bytes("b.zip", 7, 3));
        assert!(first != bytes("c.zip", 8, 3));
    }

    #[test]
    fn a_larger_set_begins_with_the_smaller_one() {
        let draw = |index| draw(3, index).unwrap().jpeg;
        assert!(draw(4) == draw(4));
        assert!(draw(4) != draw(5));
    }

    /// The set needs faces that a network with a 128 × 128-pixel input can learn to detect, and pictures without faces.
    #[test]
    fn faces_are_large_enough_to_learn_and_some_pictures_have_none() {
        let scenes: Vec<_> =
            (0..70).into_par_iter().map(|i| scene::draw(&mut Dice::new(1, i))).collect();
        let mut sizes = Vec::new();
        for scene in &scenes {
            let longer = scene.picture.width().max(scene.picture.height()) as f32;
            // In pixels of the network's input.
            let size = |face: &Bounds| (face.width() * face.height()).sqrt() * 128.0 / longer;
            sizes.extend(scene.faces.iter().map(size));
        }
        let share = |low: f32, high: f32| {
            sizes.iter().filter(|&&size| low <= size && size < high).count() as f32
                / sizes.len() as f32
        };
        assert!(share(0.0, 8.0) < 0.02 && share(60.0, 999.0) == 0.0, "bad face sizes");
        assert!(share(8.0, 16.0) > 0.2 && share(16.0, 24.0) > 0.2, "too few small faces");
        assert!(share(24.0, 60.0) > 0.05, "too few large faces");
        let counts: Vec<_> = scenes.iter().map(|scene| scene.faces.len()).collect();
        assert!((2..=14).contains(&counts.iter().filter(|&&count| count == 0).count()));
        assert!(counts.iter().any(|&count| count >= 10) && counts.iter().all(|&count| count < 30));
    }

    #[test]
    fn an_error_leaves_the_old_file_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("sample.zip");
        std::fs::write(&out, "old").unwrap();
        let error = write(&out, &SampleSpec { images: 4, seed: 0 }, &mut |_| {}).unwrap_err();
        assert_eq!(error.to_string(), "a sample set must have 5 to 100000 pictures, not 4");
        let nowhere = folder.path().join("no/such/folder/sample.zip");
        let error = write(&nowhere, &SPEC, &mut |_| {}).unwrap_err();
        assert!(matches!(error, SampleError::Write { .. }));
        assert_eq!(std::fs::read(&out).unwrap(), b"old");
    }
}
