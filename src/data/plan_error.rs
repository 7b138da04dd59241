//! Why the labels of an archive cannot be used.

use super::labels::{Units, WANTED};

/// The label files of an archive cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// There is no label file.
    #[error(
        "the archive holds no labels: expected a CSV file with the columns {}, COCO JSON, Pascal VOC XML, YOLO text or WIDER FACE text",
        WANTED
    )]
    NoTable,
    /// No CSV file has the columns.
    #[error(
        "the archive holds no labels: expected a CSV file with the columns {}, but {file} begins with \"{line}\"",
        WANTED
    )]
    NoAnnotations {
        /// The first of them.
        file: String,
        /// Its first line.
        line: String,
    },
    /// A table begins with values.
    #[error(
        "{file} has no header: its first line is \"{line}\"; put a line with the names of its columns above it, such as {} or image_path,x1,y1,x2,y2",
        WANTED
    )]
    NoHeader {
        /// The table.
        file: String,
        /// Its first line.
        line: String,
    },
    /// Categories of which none is called a face.
    #[error(
        "{file} has boxes of the categories {found}; say which of them are faces: ?face_categories={first}, or * for all"
    )]
    Categories {
        /// The table.
        file: String,
        /// The categories.
        found: String,
        /// One of them.
        first: String,
    },
    /// Fractions among pixels, or pixels among fractions.
    #[error(
        "row {row} of {file}: {values} look like {}, but most rows are {}; fix the row, or say which they are: ?units={}",
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
    /// Labels in two formats.
    #[error("the archive holds labels in two formats: {0} and {1}; keep the files of one")]
    Mixed(String, String),
    /// A label file that breaks its format.
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
        /// A table and its row.
        first: String,
        /// Another table and its row.
        second: String,
    },
    /// The boxes of a table fit their pictures only if they mean something else than its columns say. The text shows
    /// what was found and how to say what is meant.
    #[error("{0}")]
    Doubtful(String),
    /// Nothing to train on.
    #[error("the archive holds {0} annotations ({1}) but none to train on; add a train.csv")]
    NoTraining(&'static str, String),
}

fn other(units: Units) -> &'static str {
    match units {
        Units::Pixels => Units::Fractions.name(),
        Units::Fractions => Units::Pixels.name(),
    }
}
