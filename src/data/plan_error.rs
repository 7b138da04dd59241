//! Errors in an archive's labels.

use super::labels::{Units, WANTED};

/// The reasons why an archive's labels cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The archive has no label file.
    #[error(
        "the archive holds {} but no labels{}; add the boxes of their faces as {}",
        counted(*.pictures, "picture"), others(.unknown.as_ref()), formats()
    )]
    NoTable {
        /// Number of pictures.
        pictures: usize,
        /// Number of other files that might have been labels, and the first of them.
        unknown: Option<(usize, String)>,
    },
    /// No CSV file has the expected columns.
    #[error(
        "the archive holds no labels: expected a CSV file with the columns {}, but {file} begins with \"{line}\"",
        WANTED
    )]
    NoAnnotations {
        /// The first CSV file.
        file: String,
        /// Its first line.
        line: String,
    },
    /// No row names a picture in the archive.
    #[error(
        "{table} names none of the archive's {pictures} pictures: it is for {written:?} and others, but there are {found} and others{}",
        if *.is_video { VIDEO_ADVICE } else { "; put the pictures and their labels into one archive, under the names that the labels use" }
    )]
    OtherPictures {
        /// A table and its format.
        table: String,
        /// Number of pictures.
        pictures: usize,
        /// A name in the table.
        written: String,
        /// A picture in the archive.
        found: String,
        /// Whether the labels are for the frames of a video.
        is_video: bool,
    },
    /// A table has no header.
    #[error(
        "{file} has no header: its first line is \"{line}\"; add a line with the column names above it, such as {} or image_path,x1,y1,x2,y2",
        WANTED
    )]
    NoHeader {
        /// The table.
        file: String,
        /// Its first line.
        line: String,
    },
    /// It is unclear which categories are faces.
    #[error(
        "{file} has boxes of the categories {found}; say which of them are faces: ?face_categories={first}, or ?face_categories=* for all"
    )]
    Categories {
        /// The table.
        file: String,
        /// The categories.
        found: String,
        /// One of them.
        first: String,
    },
    /// A table mixes pixels and fractions.
    #[error(
        "row {row} of {file}: {values} look like {}, but most rows are in {}; fix the row, or state the unit: ?units={}",
        other(*.most), .most.name(), .most.name()
    )]
    MixedUnits {
        /// The table.
        file: String,
        /// The row that differs.
        row: u64,
        /// Its values.
        values: String,
        /// The unit of most rows.
        most: Units,
    },
    /// The archive has labels in two formats.
    #[error(
        "the archive holds labels in two formats: {0} and {1}; keep the files of only one format"
    )]
    Mixed(String, String),
    /// A label file is malformed.
    #[error("{file} cannot be read: {reason}")]
    Damaged {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// One picture has different boxes in two tables.
    #[error(
        "{picture} has different boxes in {first} and in {second}; keep one of the two tables, or make them agree"
    )]
    Contradiction {
        /// The picture's path.
        picture: String,
        /// A table and one of its rows.
        first: String,
        /// Another table and one of its rows.
        second: String,
    },
    /// Many boxes of a table do not fit their pictures if its columns mean what their names say. The text shows
    /// examples and tells the user what to do.
    #[error("{0}")]
    Doubtful(String),
    /// No table is for training.
    #[error("the archive holds {0} annotations ({1}) but none to train on; add a train.csv")]
    NoTraining(&'static str, String),
}

const VIDEO_ADVICE: &str = "; export the video from CVAT with its pictures (\"Save images\"), or as \"CVAT for images 1.1\"";

/// Returns the formats that labels may have.
fn formats() -> String {
    format!(
        "CSV with the columns {WANTED}, COCO JSON, Pascal VOC XML, YOLO text, WIDER FACE text, CVAT XML, LabelMe JSON, Label Studio JSON, RetinaFace or SCRFD text, or 300-W points (.pts)"
    )
}

/// Returns a count with its noun.
fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn others(unknown: Option<&(usize, String)>) -> String {
    match unknown {
        None => String::new(),
        Some((1, first)) => format!(", and {first} is none of these"),
        Some((count, first)) => {
            format!(", and {count} files that are none of these, such as {first}")
        }
    }
}

fn other(units: Units) -> &'static str {
    match units {
        Units::Pixels => Units::Fractions.name(),
        Units::Fractions => Units::Pixels.name(),
    }
}
