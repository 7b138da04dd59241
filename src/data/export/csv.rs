//! CSV, as `docs/datasets.md` describes it: one table per split, one row per face.

use std::io::{self, Write};

use csv::Writer;

use super::archive::ExportArchive;
use super::content::Content;
use super::format::split_name;
use super::labelled::{LabelledFace, LabelledPicture, PixelBox};
use crate::data::manifest::{Difficulty, Split};
use crate::geometry::KEYPOINT_NAMES;

const COLUMNS: [&str; 8] =
    ["image_path", "x1", "y1", "w", "h", "image_width", "image_height", "split"];

/// Writes a table for each split.
pub(super) fn write(content: &Content, archive: &mut ExportArchive<impl Write>) -> io::Result<()> {
    for split in content.splits() {
        let mut table = Writer::from_writer(archive.text(&format!("{}.csv", split_name(split)))?);
        table.write_record(header(content))?;
        for picture in content.of_split(split) {
            write_picture(content, split, picture, &mut table)?;
        }
        table.flush()?;
    }
    Ok(())
}

/// Returns the columns. Those that would be empty in all rows are left out.
fn header(content: &Content) -> Vec<String> {
    let mut columns = COLUMNS.map(str::to_owned).to_vec();
    columns.extend(content.has_ignored.then(|| "ignored".to_owned()));
    columns.extend(content.has_difficulties.then(|| "difficulty".to_owned()));
    let points = KEYPOINT_NAMES.iter().filter(|_| content.has_keypoints);
    columns.extend(points.flat_map(|name| ["x", "y"].map(|axis| format!("{name}_{axis}"))));
    columns
}

/// Writes the rows of a picture; a picture without a face has one row without a box.
fn write_picture(
    content: &Content,
    split: Split,
    picture: LabelledPicture<'_>,
    table: &mut Writer<impl Write>,
) -> io::Result<()> {
    let faces = picture.faces().map(Label::Face);
    let mut labels = faces.chain(picture.ignored().map(Label::Ignored)).peekable();
    let nothing = labels.peek().is_none().then_some(Label::Nothing);
    for label in nothing.into_iter().chain(labels) {
        table.write_record(row(content, split, picture, label))?;
    }
    Ok(())
}

/// What a row says about its picture.
#[derive(Clone, Copy)]
enum Label {
    Face(LabelledFace),
    Ignored(PixelBox),
    Nothing,
}

fn row(content: &Content, split: Split, picture: LabelledPicture<'_>, label: Label) -> Vec<String> {
    let (corners, face) = match label {
        Label::Face(face) => (Some(face.corners), Some(face)),
        Label::Ignored(place) => (Some(place), None),
        Label::Nothing => (None, None),
    };
    let is_ignored = corners.is_some() && face.is_none();
    let numbers = corners.map(|corners| corners.to_xywh().map(|number| number.to_string()));
    let mut row = vec![picture.path.to_owned()];
    row.extend(numbers.unwrap_or_default());
    row.extend([picture.width, picture.height].map(|length| length.to_string()));
    row.push(split_name(split).to_owned());
    row.extend(content.has_ignored.then(|| u8::from(is_ignored).to_string()));
    let difficulty = face.and_then(|face| face.difficulty).map_or("", difficulty_name);
    row.extend(content.has_difficulties.then(|| difficulty.to_owned()));
    let points = face.map(|face| face.keypoints).unwrap_or_default();
    row.extend(points.into_iter().filter(|_| content.has_keypoints).flat_map(|point| {
        point.map(|point| point.map(|number| number.to_string())).unwrap_or_default()
    }));
    row
}

fn difficulty_name(difficulty: Difficulty) -> &'static str {
    match difficulty {
        Difficulty::Easy => "easy",
        Difficulty::Medium => "medium",
        Difficulty::Hard => "hard",
    }
}
