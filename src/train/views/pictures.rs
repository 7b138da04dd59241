//! A data set's pictures for training and validation.

use std::io;
use std::path::Path;

use super::Source;
use crate::data::{DatasetError, Difficulty, ImportedDataset, Picture, PictureFile, Split};
use crate::geometry::{Letterbox, Rect};
use crate::model::layout::INPUT_SIZE;
use crate::protocol::evaluate_spec::SplitChoice;

/// A data set's pictures and their faces.
#[derive(Debug)]
pub struct Pictures {
    /// `[N, 256, 256, 3]` bytes: the squares that training views are cut from.
    pub cache: PictureFile,
    /// `[N, 128, 128, 3]` bytes: each picture as the input of a deployed model.
    pub inputs: PictureFile,
    /// One entry per picture, in the data set's order.
    pub entries: Vec<Entry>,
    /// Indices of the pictures to train on.
    pub train: Vec<usize>,
    /// Indices of the pictures to validate on.
    pub val: Vec<usize>,
    /// Indices of the pictures that training never sees.
    pub test: Vec<usize>,
}

/// One picture.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The cached picture.
    pub source: Source,
    /// The picture's placement in its square, as fractions, which are the same for a network input of any size.
    pub letterbox: Letterbox,
    /// The difficulty of each face, if known; empty if none is known.
    pub difficulties: Vec<Option<Difficulty>>,
    /// The picture's path in the data set.
    pub name: String,
    /// Width of the original picture, in pixels.
    pub width: u32,
    /// Height of the original picture, in pixels.
    pub height: u32,
}

/// An error from opening a data set.
#[derive(Debug, thiserror::Error)]
pub enum PicturesError {
    /// The data set's folder is damaged.
    #[error(transparent)]
    ImportedDataset(#[from] DatasetError),
    /// The data set's cache cannot be opened.
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
    /// Opens an imported data set. The pixels stay on disk until they are used.
    ///
    /// # Errors
    ///
    /// [`PicturesError`] if the data set cannot be opened.
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

    /// Selects the split to validate on.
    pub fn select(&mut self, split: SplitChoice) {
        match split {
            SplitChoice::Val => {}
            SplitChoice::Train => self.val.clone_from(&self.train),
            SplitChoice::Test => self.val.clone_from(&self.test),
            SplitChoice::All => self.val = (0..self.entries.len()).collect(),
        }
    }

    /// Returns the given pictures as inputs of a network whose input has `size` pixels per side, 128 or 256:
    /// `[N, size, size, 3]` bytes.
    ///
    /// # Panics
    ///
    /// If the data set can no longer be read.
    pub fn inputs_of(&self, size: usize, indices: &[usize]) -> Vec<u8> {
        // The squares that training views are cut from are sampled like a network input of the same size, so they can
        // serve as inputs.
        let pictures = if size == INPUT_SIZE { &self.inputs } else { &self.cache };
        assert_eq!(pictures.side(), size, "pictures are stored at 128 and 256 pixels");
        pictures.read_all(indices).unwrap_or_else(unreadable)
    }
}

/// Panics with an error from reading pictures.
#[expect(clippy::needless_pass_by_value, reason = "`unwrap_or_else` requires it")]
pub(in crate::train) fn unreadable<T>(error: io::Error) -> T {
    panic!("{UNREADABLE}: {error}")
}

const UNREADABLE: &str = "the data set's pictures can no longer be read";

/// Extracts the I/O error from a panic message. Returns `None` if the panic had another cause.
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
    fn a_panic_about_an_unreadable_data_set_keeps_the_io_error() {
        let read = |make: fn() -> io::Error| {
            let panic = catch_unwind(|| unreadable::<()>(make())).unwrap_err();
            failed_read(panic.downcast_ref::<String>().unwrap()).unwrap()
        };
        assert_eq!(read(|| io::Error::from_raw_os_error(5)).raw_os_error(), Some(5));
        assert_eq!(read(|| io::ErrorKind::UnexpectedEof.into()).kind(), io::ErrorKind::Other);
        assert!(failed_read("index out of bounds (os error 5)").is_none());
    }
}
