//! The formats of label files.

use std::fmt;

use super::{BoxShape, LabelTable, Row, Units, text};
use crate::data::names::Difference;
use crate::data::reporter::Reporter;

/// A format of labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::data) enum LabelFormat {
    Csv,
    Coco,
    Voc,
    Yolo,
    Wider,
}

/// A label file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::data) enum Unread {
    /// Its columns are those of another table; this is its first line.
    NotLabels(String),
    /// Its first line holds values.
    NoHeader(String),
    /// It has several categories, and which are faces is unknown.
    Categories(Vec<String>),
    /// Some rows are fractions and others pixels: a row and some of its values.
    MixedUnits { row: u64, values: String, most: Units },
    /// It is not what it begins like.
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
        })
    }
}

impl LabelFormat {
    /// Differences of names that the format itself makes, and that need no note.
    pub(in crate::data) fn expected_differences(self) -> &'static [Difference] {
        match self {
            Self::Csv => &[],
            Self::Coco | Self::Voc | Self::Wider => &[Difference::Folder],
            Self::Yolo => &[Difference::Folder, Difference::Extension],
        }
    }
}

impl LabelFile {
    pub(in crate::data) fn new(path: String, bytes: &[u8]) -> Self {
        Self { path, text: text::decode(bytes) }
    }
}

/// A table of a format that says what its numbers are.
pub(super) fn table(
    (path, format, files): (String, LabelFormat, u64),
    (shape, units): (BoxShape, Units),
    rows: Vec<Row>,
    given: u64,
    report: Reporter,
) -> LabelTable {
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
