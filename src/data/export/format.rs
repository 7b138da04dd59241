//! The formats of an export, and what each can say.

use serde::Deserialize;

use crate::data::manifest::Split;

/// A label format to export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    /// COCO JSON.
    Coco,
    /// YOLO text, as Ultralytics reads it.
    Yolo,
    /// Pascal VOC XML.
    Voc,
    /// The tables that Blazetune's documentation describes.
    Csv,
    /// WIDER FACE text.
    Wider,
}

/// Which pictures an export holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExportedPictures {
    /// The cached copies, 256 pixels on the longer side. Labels are in pixels of these copies.
    #[default]
    Cached,
    /// None. Labels are in pixels of the original pictures and name them as the uploaded archive did.
    None,
}

/// The splits, in the order in which they are written.
pub(super) const SPLITS: [Split; 3] = [Split::Train, Split::Val, Split::Test];

/// Returns the split's name in paths.
pub(super) fn split_name(split: Split) -> &'static str {
    match split {
        Split::Train => "train",
        Split::Val => "val",
        Split::Test => "test",
    }
}

impl ExportFormat {
    /// Every format.
    pub const ALL: [Self; 5] = [Self::Coco, Self::Yolo, Self::Voc, Self::Csv, Self::Wider];

    /// Returns the name that the query parameter `format` uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Coco => "coco",
            Self::Yolo => "yolo",
            Self::Voc => "voc",
            Self::Csv => "csv",
            Self::Wider => "wider",
        }
    }

    /// Returns the format's name for people.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Coco => "COCO JSON",
            Self::Yolo => "YOLO text",
            Self::Voc => "Pascal VOC XML",
            Self::Csv => "CSV",
            Self::Wider => "WIDER FACE text",
        }
    }

    /// Returns the folder for the pictures of a split.
    pub(super) fn picture_folder(self, split: Split) -> String {
        let split = split_name(split);
        match self {
            Self::Coco | Self::Yolo | Self::Csv => format!("images/{split}"),
            Self::Voc => format!("JPEGImages/{split}"),
            Self::Wider => format!("WIDER_{split}/images"),
        }
    }

    /// Returns the extension of the pictures. PNG changes no pixel, but tools for Pascal VOC look only for `.jpg`.
    pub(super) fn extension(self) -> &'static str {
        if self == Self::Voc { "jpg" } else { "png" }
    }

    /// Whether the labels name pictures without their folders, so that the file names alone must differ.
    pub(super) fn needs_unique_files(self) -> bool {
        // WIDER FACE's labels do not name the folder of the split, and our import looks in both.
        self == Self::Wider
    }

    /// Whether the format has keypoints.
    pub(super) fn has_keypoints(self) -> bool {
        matches!(self, Self::Coco | Self::Yolo | Self::Csv)
    }

    /// Whether the format has places that count neither as faces nor as background.
    pub(super) fn has_ignored(self) -> bool {
        matches!(self, Self::Coco | Self::Csv | Self::Wider)
    }

    /// Whether the format has the difficulty of a face.
    pub(super) fn has_difficulties(self) -> bool {
        self == Self::Csv
    }
}
