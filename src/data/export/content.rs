//! What is exported: the pictures, their labels and their places in the zip.

use std::io::{self, Cursor, Write};
use std::sync::Arc;

use image::codecs::jpeg::JpegEncoder;
use image::{ImageFormat, RgbImage};

use super::archive::ExportArchive;
use super::format::{ExportFormat, ExportedPictures, SPLITS};
use super::labelled::LabelledPicture;
use super::naming;
use crate::data::ImportedDataset;
use crate::data::cache::crop;
use crate::data::manifest::{Picture, Split};

/// Nearly without loss, at about a quarter of PNG's size.
const JPEG_QUALITY: u8 = 95;

/// The pictures, their labels and their places in the zip.
#[derive(Debug)]
pub(super) struct Content {
    dataset: Arc<ImportedDataset>,
    /// The data set's name.
    pub(super) name: String,
    pub(super) pictures: ExportedPictures,
    /// The path of each picture: in the zip if it holds pictures, in the uploaded archive if not.
    paths: Vec<String>,
    /// Whether any face has a keypoint.
    pub(super) has_keypoints: bool,
    /// Whether any face has a difficulty.
    pub(super) has_difficulties: bool,
    /// Whether any picture has a place to ignore.
    pub(super) has_ignored: bool,
}

impl Content {
    pub(super) fn new(
        dataset: Arc<ImportedDataset>,
        name: &str,
        format: ExportFormat,
        exported: ExportedPictures,
    ) -> Self {
        let pictures = &dataset.manifest.pictures;
        let paths = match exported {
            ExportedPictures::Cached => naming::paths(pictures, format),
            ExportedPictures::None => {
                pictures.iter().map(|picture| naming::one_line(&picture.name)).collect()
            }
        };
        let any = |has: fn(&Picture) -> bool| pictures.iter().any(has);
        Self {
            name: name.to_owned(),
            pictures: exported,
            paths,
            has_keypoints: any(|picture| !picture.keypoints.is_empty()),
            has_difficulties: any(|picture| !picture.difficulties.is_empty()),
            has_ignored: any(|picture| !picture.ignored.is_empty()),
            dataset,
        }
    }

    pub(super) fn all(&self) -> &[Picture] {
        &self.dataset.manifest.pictures
    }

    pub(super) fn paths(&self) -> &[String] {
        &self.paths
    }

    /// Returns the splits that have pictures.
    pub(super) fn splits(&self) -> impl Iterator<Item = Split> {
        SPLITS.into_iter().filter(|&split| self.of_split(split).next().is_some())
    }

    /// Returns the labelled pictures of a split.
    pub(super) fn of_split(&self, split: Split) -> impl Iterator<Item = LabelledPicture<'_>> {
        let all = self.all().iter().zip(&self.paths);
        let of_split = all.filter(move |(picture, _)| picture.split == split);
        of_split.map(|(picture, path)| LabelledPicture::new(path, picture, self.pictures))
    }

    /// Writes the pictures themselves, if they are wanted.
    pub(super) fn write_pictures(
        &self,
        format: ExportFormat,
        archive: &mut ExportArchive<impl Write>,
    ) -> io::Result<()> {
        if self.pictures == ExportedPictures::None {
            return Ok(());
        }
        let squares = self.dataset.squares()?;
        for (index, (picture, path)) in self.all().iter().zip(&self.paths).enumerate() {
            let mut square = vec![0; squares.stride()];
            squares.read(index, &mut square)?;
            let pixels = crop(square, &picture.letterbox);
            let pixels = pixels.ok_or_else(|| io::Error::other("a cached picture is too short"))?;
            archive.picture(path, &encoded(&pixels, format)?)?;
        }
        Ok(())
    }
}

fn encoded(pixels: &RgbImage, format: ExportFormat) -> io::Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    let written = if format.extension() == "jpg" {
        pixels.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY))
    } else {
        pixels.write_to(&mut bytes, ImageFormat::Png)
    };
    written.map_err(io::Error::other)?;
    Ok(bytes.into_inner())
}
