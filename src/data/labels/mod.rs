//! Reads label files, without looking at the pictures.

mod categories;
pub(super) mod coco;
mod columns;
mod csv;
pub(super) mod cvat;
mod embedded;
mod format;
pub(super) mod label_studio;
pub(super) mod labelme;
pub(super) mod points;
mod recognise;
pub(super) mod retinaface;
mod shapes;
mod text;
mod units;
pub(super) mod voc;
pub(super) mod wider;
pub(super) mod yolo;

use std::io::Read;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::manifest::Difficulty;
use super::reporter::Reporter;
use crate::geometry::Keypoints;

pub(super) use self::columns::WANTED;
pub(super) use self::csv::read;
pub(super) use self::format::{LabelFile, LabelFormat, Unread};
pub(super) use self::recognise::format_of;

/// What the four numbers of a box mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BoxShape {
    /// Left, top, width, height.
    Xywh,
    /// Left, top, right, bottom.
    Xyxy,
    /// Centre x, centre y, width, height.
    Cxcywh,
}

impl BoxShape {
    /// Returns the name that the query parameter `boxes` uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Xywh => "xywh",
            Self::Xyxy => "xyxy",
            Self::Cxcywh => "cxcywh",
        }
    }

    /// Converts a box of this shape to left, top, width and height.
    pub(super) fn to_xywh(self, [a, b, c, d]: [f32; 4]) -> [f32; 4] {
        match self {
            Self::Xywh => [a, b, c, d],
            Self::Xyxy => [a, b, c - a, d - b],
            Self::Cxcywh => [a - c / 2.0, b - d / 2.0, c, d],
        }
    }
}

/// The unit of a table's coordinates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Units {
    /// Pixels of the picture.
    Pixels,
    /// Fractions of the picture's width and height, 0 to 1.
    Fractions,
}

impl Units {
    /// Returns the name that the query parameter `units` uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pixels => "pixels",
            Self::Fractions => "fractions",
        }
    }
}

/// What the user says about the labels. The import works out the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LabelOptions {
    /// What the four numbers of a box mean, whatever the columns are called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boxes: Option<BoxShape>,
    /// The unit of all coordinates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units: Option<Units>,
    /// The categories that are faces, if the labels have several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub face_categories: Vec<String>,
}

/// The labels of one file, or of several files in a format with one file per picture.
#[derive(Debug)]
pub(super) struct LabelTable {
    /// Its path in the archive; for several files, the folder of the first.
    pub(super) path: String,
    pub(super) format: LabelFormat,
    /// Number of files that it was read from.
    pub(super) files: u64,
    /// Its first line, which names the columns; for formats other than CSV, the name of the format.
    pub(super) header: String,
    pub(super) shape: BoxShape,
    /// Whether the user or the format defines the shape.
    pub(super) is_shape_stated: bool,
    pub(super) units: Units,
    pub(super) rows: Vec<Row>,
    /// Number of rows that name no picture. They are reported.
    pub(super) nameless: u64,
    /// Total number of rows, including bad ones.
    pub(super) given: u64,
    /// Problems with its rows.
    pub(super) report: Reporter,
}

impl LabelTable {
    /// Returns the folder it is in, without a trailing slash; empty at the archive's root.
    pub(super) fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
}

/// A row that names a picture.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// The file it is in, if it differs from the table's path: some formats have one file per picture.
    pub(super) file: Option<Arc<str>>,
    /// Its line in the file, where the header is row 1, or its position among the file's labels, from 1.
    pub(super) number: u64,
    /// The picture's path as the table spells it.
    pub(super) image_path: String,
    pub(super) face: Face,
    /// Category of the box; empty if the table has none.
    pub(super) category: String,
    /// Width and height of the picture that the labels were drawn on, if the row states them.
    pub(super) size: Option<[f32; 2]>,
    /// In the table's units.
    pub(super) keypoints: Keypoints,
    pub(super) difficulty: Option<Difficulty>,
}

/// What a row says about its picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Face {
    /// It shows a face: four numbers in the table's shape and units.
    At([f32; 4]),
    /// It shows no face.
    None,
    /// All four numbers are 0, as WIDER FACE writes for a picture without faces.
    Zeros,
    /// It shows something that counts neither as a face nor as background, such as a crowd.
    Ignored([f32; 4]),
    /// It may show a face, but the row is bad and has been reported.
    Unknown,
    /// The row labels something other than a face.
    Other,
}

impl Row {
    /// Creates a row with only the fields that all formats have.
    fn new(number: u64, image_path: String, face: Face) -> Self {
        Self {
            file: None,
            number,
            image_path,
            face,
            category: String::new(),
            size: None,
            keypoints: Keypoints::default(),
            difficulty: None,
        }
    }
}

/// Returns the content of a label file without the pictures that are embedded in it.
pub(super) fn without_pictures<'a>(path: &str, content: &'a mut dyn Read) -> Box<dyn Read + 'a> {
    if path.to_lowercase().ends_with(".json") {
        Box::new(embedded::WithoutPictures::new(content))
    } else {
        Box::new(content)
    }
}

/// Reads bytes as a CSV file named `a.csv`.
#[cfg(test)]
fn csv_table(bytes: &[u8], options: &LabelOptions) -> Result<LabelTable, Unread> {
    read(&LabelFile::new("a.csv".to_owned(), bytes), options, Reporter::default())
}
