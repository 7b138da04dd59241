//! A data set as training and validation use it.

use std::io;
use std::path::Path;

use super::Source;
use crate::data::{DatasetError, Difficulty, ImportedDataset, Picture, PictureFile, Split};
use crate::geometry::{Letterbox, Rect};
use crate::model::layout::INPUT_SIZE;
use crate::protocol::evaluate_spec::SplitChoice;

/// A data set's pictures, and what is in them.
#[derive(Debug)]
pub struct Pictures {
    /// `[N, 256, 256, 3]` bytes: what training views are cut from.
    pub cache: PictureFile,
    /// `[N, 128, 128, 3]` bytes: each picture as a deployed model is fed it.
    pub inputs: PictureFile,
    /// One entry per picture, in order.
    pub entries: Vec<Entry>,
    /// Indices of the pictures to train on.
    pub train: Vec<usize>,
    /// Indices of the pictures to measure on.
    pub val: Vec<usize>,
    /// Indices of the pictures that training never sees.
    pub test: Vec<usize>,
}

/// One picture.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The picture in the cache.
    pub source: Source,
    /// How it lies in its square; in fractions, the network's input of any size is the same square.
    pub letterbox: Letterbox,
    /// The difficulty of each face, where it is known; empty where none is.
    pub difficulties: Vec<Option<Difficulty>>,
    /// Path in the data set.
    pub name: String,
    /// Width of the original, in pixels.
    pub width: u32,
    /// Height of the original, in pixels.
    pub height: u32,
}

/// The data set cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PicturesError {
    /// Its folder is damaged.
    #[error(transparent)]
    ImportedDataset(#[from] DatasetError),
    /// Its cache cannot be opened.
    #[error("the data set's cache cannot be opened")]
    Cache(#[from] io::Error),
}

impl Entry {
    fn new(picture: &Picture) -> Self {
        let Picture { name, width, height, letterbox, faces, keypoints, .. } = picture;
        let whole = Rect::from([0.0, 0.0, 1.0, 1.0]);
        let place = |[x, y]: [f32; 2]| {
            let (x, y) = letterbox.to_square(&Rect::around(x, y, 0.0, 0.0)).centre();
            [x, y]
        };
        let source = Source {
            content: letterbox.to_square(&whole),
            faces: faces.iter().map(|face| letterbox.to_square(face)).collect(),
            keypoints: keypoints.iter().map(|face| face.map(|at| at.map(place))).collect(),
        };
        Self {
            source,
            letterbox: *letterbox,
            difficulties: picture.difficulties.clone(),
            name: name.clone(),
            width: *width,
            height: *height,
        }
    }
}

impl Pictures {
    /// Opens an imported data set. Its pixels stay on disk until they are used.
    ///
    /// # Errors
    ///
    /// [`PicturesError`].
    pub fn open(dir: &Path) -> Result<Self, PicturesError> {
        let dataset = ImportedDataset::open(dir)?;
        let of = |split: Split| {
            let pictures = dataset.manifest.pictures.iter().enumerate();
            pictures.filter(|(_, p)| p.split == split).map(|(index, _)| index).collect()
        };
        Ok(Self {
            cache: dataset.squares()?,
            inputs: dataset.inputs()?,
            train: of(Split::Train),
            val: of(Split::Val),
            test: of(Split::Test),
            entries: dataset.manifest.pictures.iter().map(Entry::new).collect(),
        })
    }

    /// Makes this split the one to measure on.
    pub fn select(&mut self, split: SplitChoice) {
        match split {
            SplitChoice::Val => {}
            SplitChoice::Train => self.val.clone_from(&self.train),
            SplitChoice::Test => self.val.clone_from(&self.test),
            SplitChoice::All => self.val = (0..self.entries.len()).collect(),
        }
    }

    /// `[N, size, size, 3]` bytes: some pictures as a network whose input has `size` pixels a side, 128 or 256, is
    /// fed them.
    ///
    /// # Panics
    ///
    /// When the data set can no longer be read.
    pub fn inputs_of(&self, size: usize, indices: &[usize]) -> Vec<u8> {
        // The squares that training views are cut from were sampled as a network of their size would be fed them.
        let pictures = if size == INPUT_SIZE { &self.inputs } else { &self.cache };
        assert_eq!(pictures.side(), size, "pictures are kept at 128 and 256 pixels");
        pictures.read_all(indices).unwrap_or_else(unreadable)
    }
}

/// Ends the work: the file system failed.
#[expect(clippy::needless_pass_by_value, reason = "for unwrap_or_else")]
pub(in crate::train) fn unreadable<T>(error: io::Error) -> T {
    panic!("{UNREADABLE}: {error}")
}

const UNREADABLE: &str = "the data set's pictures can no longer be read";

/// The file system's error in a panic's text; `None` if the panic was about something else.
pub fn failed_read(panic: &str) -> Option<io::Error> {
    let error = panic.strip_prefix(UNREADABLE)?;
    let number = error.split_once("(os error ").and_then(|(_, number)| number.strip_suffix(')'));
    let number = number.and_then(|number| number.parse().ok());
    Some(number.map_or_else(|| io::Error::other(error.to_owned()), io::Error::from_raw_os_error))
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn a_panic_over_an_unreadable_data_set_keeps_the_error_of_the_file_system() {
        let read = |make: fn() -> io::Error| {
            let panic = catch_unwind(|| unreadable::<()>(make())).unwrap_err();
            failed_read(panic.downcast_ref::<String>().unwrap()).unwrap()
        };
        assert_eq!(read(|| io::Error::from_raw_os_error(5)).raw_os_error(), Some(5));
        assert_eq!(read(|| io::ErrorKind::UnexpectedEof.into()).kind(), io::ErrorKind::Other);
        assert!(failed_read("index out of bounds (os error 5)").is_none());
    }
}
