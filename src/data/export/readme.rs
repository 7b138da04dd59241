//! `README.txt`, which says what the zip holds and what its format cannot say; and `originals.jsonl`, which says which
//! picture is which.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::to_writer;

use super::archive::ExportArchive;
use super::content::Content;
use super::format::{ExportFormat, ExportedPictures, SPLITS, split_name};
use crate::data::cache::CACHE_SIZE;
use crate::data::manifest::Picture;

/// A line of `originals.jsonl`: what a picture was called in the uploaded archive, and how large it was.
#[derive(Serialize)]
struct Listed<'a> {
    path: &'a str,
    original: &'a str,
    width: u32,
    height: u32,
}

/// Writes both files; without pictures, only the first.
pub(super) fn write(
    content: &Content,
    format: ExportFormat,
    archive: &mut ExportArchive<impl Write>,
) -> io::Result<()> {
    archive.text("README.txt")?.write_all(text(content, format).as_bytes())?;
    if content.pictures == ExportedPictures::None {
        return Ok(());
    }
    let out = archive.text("originals.jsonl")?;
    for (picture, path) in content.all().iter().zip(content.paths()) {
        let Picture { name, width, height, .. } = picture;
        let line = Listed { path, original: name, width: *width, height: *height };
        to_writer(&mut *out, &line)?;
        writeln!(out)?;
    }
    Ok(())
}

fn text(content: &Content, format: ExportFormat) -> String {
    let (name, title) = (&content.name, format.title());
    let mut text = format!(
        "{name}\n\nA data set for face detection as {title}, exported by Blazetune {}.\n\n",
        env!("CARGO_PKG_VERSION")
    );
    for split in SPLITS {
        let (images, faces) = content
            .of_split(split)
            .fold((0, 0), |(images, faces), picture| (images + 1, faces + picture.faces().count()));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}: {images} pictures, {faces} faces", split_name(split));
    }
    text.push('\n');
    text += &match content.pictures {
        ExportedPictures::Cached => with_pictures(format),
        ExportedPictures::None => without_pictures(format),
    };
    text += &left_out(content, format);
    text
}

fn with_pictures(format: ExportFormat) -> String {
    let kind = if format.extension() == "jpg" { "JPEG" } else { "PNG" };
    format!(
        "The pictures are copies of {CACHE_SIZE} pixels on the longer side, as {kind}, and the labels fit these \
        copies:\nBlazetune does not keep the originals. originals.jsonl has the name and size of each \
        original.\nBlazetune imports this zip as it is. For labels of the original pictures, export with \
        pictures=none.\n"
    )
}

fn without_pictures(format: ExportFormat) -> String {
    let splits = match format {
        ExportFormat::Yolo | ExportFormat::Voc => {
            "\nThe lists of pictures say which split each is in. Blazetune's import does not read them: it goes by \
            folders.\n"
        }
        ExportFormat::Coco | ExportFormat::Csv | ExportFormat::Wider => "\n",
    };
    format!(
        "The zip holds no pictures. Its labels name the original pictures as the uploaded archive did, and fit \
        the\noriginals as a viewer shows them, turned by their EXIF orientation. Unpack it where that \
        archive was unpacked,\nin place of the labels there.{splits}"
    )
}

/// Returns what the format cannot say.
fn left_out(content: &Content, format: ExportFormat) -> String {
    let count = |of: fn(&Picture) -> usize| content.all().iter().map(of).sum::<usize>();
    let mut text = String::new();
    let mut add = |count: usize, what: &str, why: &str| {
        if count > 0 {
            let _ = write!(
                text,
                "\nLeft out, since {} cannot say them: {count} {what}.{why}\n",
                format.title()
            );
        }
    };
    if !format.has_ignored() {
        let why = match content.pictures {
            ExportedPictures::Cached => " They are painted grey in the pictures.",
            ExportedPictures::None => {
                " They may show unlabelled faces, so they should count neither as faces nor as background."
            }
        };
        add(count(|picture| picture.ignored.len()), "ignored places", why);
    }
    if !format.has_keypoints() {
        let with_points = |picture: &Picture| {
            picture.keypoints.iter().filter(|points| points.iter().any(Option::is_some)).count()
        };
        add(count(with_points), "faces' keypoints", "");
    }
    if !format.has_difficulties() {
        let known = |picture: &Picture| picture.difficulties.iter().flatten().count();
        add(count(known), "faces' difficulties", "");
    }
    text
}
