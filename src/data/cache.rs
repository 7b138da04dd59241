//! Decoded pictures on disk: two files with a fixed number of bytes per picture.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use image::RgbImage;

use super::ImportedDataset;
use crate::geometry::{INPUT_SIZE, Letterbox};

/// Side of the squares that training views are cut from, in pixels.
pub const CACHE_SIZE: u32 = 256;

/// `[N, 256, 256, 3]` bytes: pictures as `MediaPipe` would sample them at this size, for training views. Smoothed
/// pictures would lack the aliasing that a deployed model sees.
pub(super) const SQUARES: CacheFile = CacheFile { name: "pictures.u8", side: CACHE_SIZE };
/// `[N, 128, 128, 3]` bytes: pictures exactly as a deployed model receives them, for validation.
pub(super) const INPUTS: CacheFile = CacheFile { name: "inputs.u8", side: INPUT_SIZE as u32 };

/// One of the two cache files.
#[derive(Debug, Clone, Copy)]
pub(super) struct CacheFile {
    name: &'static str,
    side: u32,
}

impl CacheFile {
    /// Returns the side of a picture, in pixels.
    pub(super) fn side(self) -> u32 {
        self.side
    }

    /// Returns the number of bytes per picture.
    pub(super) fn stride(self) -> usize {
        (self.side * self.side * 3) as usize
    }

    /// Creates the file in `folder`.
    pub(super) fn create(self, folder: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(folder.join(self.name))
    }

    /// Opens the file in `folder` for reading.
    pub(super) fn open(self, folder: &Path) -> io::Result<File> {
        File::open(folder.join(self.name))
    }

    /// Opens the file in `folder` for reading and writing.
    pub(super) fn open_to_write(self, folder: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(folder.join(self.name))
    }

    /// Writes picture `index`.
    pub(super) fn write(self, file: &File, index: usize, bytes: &[u8]) -> io::Result<()> {
        debug_assert_eq!(bytes.len(), self.stride());
        file.write_all_at(bytes, (index * self.stride()) as u64)
    }

    /// Reads picture `index`.
    pub(super) fn read(self, file: &File, index: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.stride()];
        file.read_exact_at(&mut bytes, (index * self.stride()) as u64)?;
        Ok(bytes)
    }
}

/// A cache file to read pictures from. It is not memory-mapped: mapped pages would count as the process's memory, and
/// training reads all of them.
#[derive(Debug)]
pub struct PictureFile {
    file: File,
    side: usize,
}

impl PictureFile {
    /// Wraps a file of `[N, side, side, 3]` bytes.
    pub fn new(file: File, side: usize) -> Self {
        Self { file, side }
    }

    /// Returns the side of a picture, in pixels.
    pub fn side(&self) -> usize {
        self.side
    }

    /// Returns the number of bytes per picture.
    pub fn stride(&self) -> usize {
        self.side * self.side * 3
    }

    /// Reads picture `index` into a buffer of `[side, side, 3]` bytes.
    ///
    /// # Errors
    ///
    /// Fails if the picture cannot be read.
    pub fn read(&self, index: usize, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, (index * self.stride()) as u64)
    }

    /// Reads several pictures into one buffer of `[N, side, side, 3]` bytes.
    ///
    /// # Errors
    ///
    /// Fails if a picture cannot be read.
    pub fn read_all(&self, indices: &[usize]) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; indices.len() * self.stride()];
        for (&index, into) in indices.iter().zip(bytes.chunks_exact_mut(self.stride())) {
            self.read(index, into)?;
        }
        Ok(bytes)
    }
}

impl ImportedDataset {
    /// Opens the pictures that training views are cut from: `[N, 256, 256, 3]` bytes.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be opened.
    pub fn squares(&self) -> io::Result<PictureFile> {
        Ok(PictureFile::new(SQUARES.open(&self.dir)?, SQUARES.side as usize))
    }

    /// Opens the pictures as a deployed model receives them: `[N, 128, 128, 3]` bytes.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be opened.
    pub fn inputs(&self) -> io::Result<PictureFile> {
        Ok(PictureFile::new(INPUTS.open(&self.dir)?, INPUTS.side as usize))
    }
}

/// Crops a square to the picture in it. `None` if the square has the wrong number of bytes.
pub(super) fn crop(square: Vec<u8>, letterbox: &Letterbox) -> Option<RgbImage> {
    let square = RgbImage::from_raw(CACHE_SIZE, CACHE_SIZE, square)?;
    let (width, height) = cropped_size(letterbox);
    let (left, top) = ((CACHE_SIZE - width) / 2, (CACHE_SIZE - height) / 2);
    Some(image::imageops::crop_imm(&square, left, top, width, height).to_image())
}

/// Returns the width and height of a cropped picture. Its edges are at most half a pixel from those of the picture,
/// which may fall between pixels. The bars on both sides are equal, so that a letterbox of the cropped picture repeats
/// every pixel.
pub(super) fn cropped_size(letterbox: &Letterbox) -> (u32, u32) {
    let bar = |start: f32| (start.round() as u32).min(CACHE_SIZE / 2 - 1);
    (CACHE_SIZE - 2 * bar(letterbox.left), CACHE_SIZE - 2 * bar(letterbox.top))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cropped_picture_is_at_most_half_a_pixel_off_and_its_letterbox_fits_whole_pixels() {
        for (width, height) in [(40, 30), (4000, 3001), (3008, 4000), (256, 191), (1000, 999)] {
            let letterbox = Letterbox::exact(width, height, CACHE_SIZE);
            let (w, h) = cropped_size(&letterbox);
            let edge = [CACHE_SIZE - w, CACHE_SIZE - h].map(|bars| bars as f32 / 2.0);
            assert!((edge[0] - letterbox.left).abs() <= 0.5, "{letterbox:?} {w} {h}");
            assert!((edge[1] - letterbox.top).abs() <= 0.5, "{letterbox:?} {w} {h}");
            let again = Letterbox::exact(w, h, CACHE_SIZE);
            assert_eq!([again.left, again.top].map(f32::fract), [0.0; 2]);
            assert_eq!(cropped_size(&again), (w, h));
        }
        assert_eq!(cropped_size(&Letterbox::exact(9000, 1, CACHE_SIZE)), (256, 2));
    }
}
