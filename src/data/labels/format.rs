//! The formats of label files.

use std::fmt;

use super::{BoxShape, Face, LabelTable, Row, Units, text};
use crate::data::names::Difference;
use crate::data::reporter::Reporter;

/// A label format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::data) enum LabelFormat {
    Csv,
    Coco,
    Voc,
    Yolo,
    Wider,
    Cvat,
    CvatVideo,
    LabelMe,
    LabelStudio,
    RetinaFace,
    Scrfd,
    Points,
}

/// A label file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::data) enum Unread {
    /// It lacks the columns of labels; this is its first line.
    NotLabels(String),
    /// It has no header; this is its first line.
    NoHeader(String),
    /// It is unclear which of its categories are faces.
    Categories(Vec<String>),
    /// It mixes fractions and pixels: a row in the rarer unit, its values, and the unit of most rows.
    MixedUnits { row: u64, values: String, most: Units },
    /// It is malformed; this says how.
    Damaged(String),
}

/// A file that may hold labels.
#[derive(Debug)]
pub(in crate::data) struct LabelFile {
    pub(in crate::data) path: String,
    pub(in crate::data) text: String,
}

impl fmt::Display for LabelFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Csv => "CSV",
            Self::Coco => "COCO JSON",
            Self::Voc => "Pascal VOC XML",
            Self::Yolo => "YOLO text",
            Self::Wider => "WIDER FACE text",
            Self::Cvat => "CVAT for images XML",
            Self::CvatVideo => "CVAT for video XML",
            Self::LabelMe => "LabelMe JSON",
            Self::LabelStudio => "Label Studio JSON",
            Self::RetinaFace => "RetinaFace text",
            Self::Scrfd => "SCRFD text",
            Self::Points => "300-W points",
        })
    }
}

impl LabelFormat {
    /// Returns the differences in names that the format itself causes. They need no note.
    pub(in crate::data) fn expected_differences(self) -> &'static [Difference] {
        match self {
            Self::Csv => &[],
            Self::Coco
            | Self::Voc
            | Self::Wider
            | Self::Cvat
            | Self::LabelMe
            | Self::RetinaFace
            | Self::Scrfd => &[Difference::Folder],
            Self::LabelStudio => &[Difference::Folder, Difference::Prefix],
            Self::Yolo | Self::CvatVideo | Self::Points => {
                &[Difference::Folder, Difference::Extension]
            }
        }
    }
}

impl LabelFile {
    pub(in crate::data) fn new(path: String, bytes: &[u8]) -> Self {
        Self { path, text: text::decode(bytes) }
    }
}

/// Creates a table of a format that defines the shape and units of its boxes. Boxes with a number that is not finite
/// are reported.
pub(super) fn table(
    (path, format, files): (String, LabelFormat, u64),
    (shape, units): (BoxShape, Units),
    mut rows: Vec<Row>,
    given: u64,
    mut report: Reporter,
) -> LabelTable {
    for row in &mut rows {
        let (Face::At(numbers) | Face::Ignored(numbers)) = row.face else { continue };
        if let Some(number) = numbers.iter().find(|number| !number.is_finite()) {
            row.face = Face::Unknown;
            let file = row.file.as_deref().unwrap_or(&path);
            let reason = format!("its box has the number {number}");
            report.lose_row("not a number", file, row.number, reason);
        }
    }
    LabelTable {
        path,
        format,
        files,
        header: format.to_string(),
        shape,
        is_shape_stated: true,
        units,
        nameless: given - rows.len() as u64,
        rows,
        given,
        report,
    }
}
