//! Exports a data set as a zip of labels, and of pictures if they are wanted, in a format that other tools read.

mod archive;
mod coco;
mod content;
mod csv;
mod format;
mod labelled;
mod naming;
mod readme;
mod voc;
mod wider;
mod yolo;

use std::io::{self, Write};
use std::sync::Arc;

use self::archive::ExportArchive;
use self::content::Content;
pub use self::format::{ExportFormat, ExportedPictures};
use super::ImportedDataset;

/// An export, ready to be written.
#[derive(Debug)]
pub struct Export {
    content: Content,
    format: ExportFormat,
}

/// The error for labels that the format cannot pair with their pictures.
#[derive(Debug, thiserror::Error)]
#[error(
    "YOLO text finds a picture by its name without the extension, so it cannot tell {first} from {second}; leave out \
    pictures=none, so that the pictures are renamed, or use another format"
)]
pub struct ExportError {
    first: String,
    second: String,
}

impl Export {
    /// Decides where everything goes.
    ///
    /// * `name`: the data set's name, for the text that explains the zip.
    ///
    /// # Errors
    ///
    /// [`ExportError`], only without pictures.
    pub fn new(
        dataset: Arc<ImportedDataset>,
        name: &str,
        format: ExportFormat,
        pictures: ExportedPictures,
    ) -> Result<Self, ExportError> {
        let content = Content::new(dataset, name, format, pictures);
        if format == ExportFormat::Yolo
            && pictures == ExportedPictures::None
            && let Some((first, second)) = naming::same_stem(content.paths())
        {
            return Err(ExportError { first: first.to_owned(), second: second.to_owned() });
        }
        Ok(Self { content, format })
    }

    /// Writes the zip. It is never in memory as a whole: the labels are written row by row, and then one picture after
    /// the other.
    ///
    /// # Errors
    ///
    /// Any error of `out`, and any error of reading the cached pictures.
    pub fn write(&self, out: impl Write) -> io::Result<()> {
        let Self { content, format } = self;
        let mut archive = ExportArchive::new(out);
        readme::write(content, *format, &mut archive)?;
        match format {
            ExportFormat::Coco => coco::write(content, &mut archive)?,
            ExportFormat::Yolo => yolo::write(content, &mut archive)?,
            ExportFormat::Voc => voc::write(content, &mut archive)?,
            ExportFormat::Csv => csv::write(content, &mut archive)?,
            ExportFormat::Wider => wider::write(content, &mut archive)?,
        }
        content.write_pictures(*format, &mut archive)?;
        archive.finish()
    }
}
