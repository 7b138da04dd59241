//! WIDER FACE text: `wider_face_split/wider_face_{split}_bbx_gt.txt`, with paths in `WIDER_{split}/images`.
//!
//! Source: `readme.txt` of WIDER FACE's annotations.

use std::borrow::Cow;
use std::io::{self, Write};

use super::archive::ExportArchive;
use super::content::Content;
use super::format::{ExportFormat, ExportedPictures, split_name};
use super::labelled::PixelBox;
use super::naming::without_extension;
use crate::data::extensions::is_picture;
use crate::data::manifest::Split;

/// Writes a file for each split.
pub(super) fn write(content: &Content, archive: &mut ExportArchive<impl Write>) -> io::Result<()> {
    let folder = match content.pictures {
        ExportedPictures::Cached => "wider_face_split/",
        ExportedPictures::None => "", // Paths are from the root.
    };
    for split in content.splits() {
        let out = archive.text(&format!("{folder}wider_face_{}_bbx_gt.txt", split_name(split)))?;
        for picture in content.of_split(split) {
            let (faces, ignored) = (picture.faces(), picture.ignored());
            writeln!(out, "{}", shown_path(content.pictures, split, picture.path))?;
            let count = faces.size_hint().0 + ignored.size_hint().0;
            writeln!(out, "{count}")?;
            if count == 0 {
                writeln!(out, "0 0 0 0 0 0 0 0 0 0")?;
            }
            for face in faces {
                write_line(out, face.corners, false)?;
            }
            for place in ignored {
                write_line(out, place, true)?;
            }
        }
    }
    Ok(())
}

/// Returns the path as the labels write it. Without a picture's extension, a line would not be taken for a path.
fn shown_path(pictures: ExportedPictures, split: Split, path: &str) -> Cow<'_, str> {
    if pictures == ExportedPictures::Cached {
        let folder = ExportFormat::Wider.picture_folder(split);
        let inside = path.strip_prefix(&folder).and_then(|path| path.strip_prefix('/'));
        return Cow::Borrowed(inside.unwrap_or(path));
    }
    if is_picture(path) {
        return Cow::Borrowed(path);
    }
    Cow::Owned(format!("{}.jpg", without_extension(path)))
}

/// Writes a box and the flags blur, expression, illumination, invalid, occlusion and pose.
fn write_line(out: &mut dyn Write, corners: PixelBox, is_invalid: bool) -> io::Result<()> {
    let [x, y, w, h] = corners.to_xywh();
    writeln!(out, "{x} {y} {w} {h} 0 0 0 {} 0 0", u8::from(is_invalid))
}
