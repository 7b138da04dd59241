//! YOLO text: one file per picture, and `data.yaml`. With pictures, labels are in `labels/{split}`; without, where
//! Ultralytics looks for the labels of the original pictures.
//!
//! Source: Ultralytics' documentation of its detection and pose data sets.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::archive::ExportArchive;
use super::content::Content;
use super::format::{ExportFormat, ExportedPictures, split_name};
use super::labelled::{LabelledFace, LabelledPicture};
use super::naming::without_extension;
use crate::data::manifest::Split;
use crate::geometry::KEYPOINT_NAMES;

/// Which keypoint each becomes in a mirrored picture: right becomes left.
const MIRRORED: [usize; 6] = [1, 0, 2, 3, 5, 4];

/// The smallest width and height that six digits can say, so that rounding does not make a box vanish.
const LEAST: f64 = 1e-6;

/// Writes `data.yaml`, the labels and, without pictures, the lists of the splits.
pub(super) fn write(content: &Content, archive: &mut ExportArchive<impl Write>) -> io::Result<()> {
    archive.text("data.yaml")?.write_all(yaml(content).as_bytes())?;
    for split in content.splits() {
        for picture in content.of_split(split) {
            let out = archive.text(&label_path(picture.path))?;
            for face in picture.faces() {
                writeln!(out, "{}", line(picture, &face, content.has_keypoints))?;
            }
        }
        if content.pictures == ExportedPictures::None {
            let out = archive.text(&list(split))?;
            for picture in content.of_split(split) {
                writeln!(out, "./{}", picture.path)?;
            }
        }
    }
    Ok(())
}

fn yaml(content: &Content) -> String {
    let mut text = String::new();
    for split in content.splits() {
        let place = match content.pictures {
            ExportedPictures::Cached => ExportFormat::Yolo.picture_folder(split),
            ExportedPictures::None => list(split),
        };
        let _ = writeln!(text, "{}: {place}", split_name(split)); // Writing to a string cannot fail.
    }
    text += "nc: 1\nnames:\n  0: face\n";
    if content.has_keypoints {
        let names = KEYPOINT_NAMES.join(", ");
        let _ =
            write!(text, "kpt_shape: [6, 3]\nflip_idx: {MIRRORED:?}\nkpt_names:\n  0: [{names}]\n");
    }
    text
}

fn list(split: Split) -> String {
    format!("{}.txt", split_name(split))
}

/// Returns the path of a picture's labels: in `labels` for a picture in `images`, otherwise beside it.
fn label_path(path: &str) -> String {
    let mut parts: Vec<&str> = without_extension(path).split('/').collect();
    let folders = parts.len() - 1;
    if let Some(images) = parts[..folders].iter().rposition(|part| *part == "images") {
        parts[images] = "labels";
    }
    parts.join("/") + ".txt"
}

/// Returns a face's class, centre, width and height, and then x, y and visibility of each keypoint: 2 if it is labelled
/// and in the picture, all 0 if not.
fn line(picture: LabelledPicture<'_>, face: &LabelledFace, has_keypoints: bool) -> String {
    let (width, height) = (f64::from(picture.width), f64::from(picture.height));
    let corners = face.corners;
    let [x, y] =
        [f64::midpoint(corners.left, corners.right), f64::midpoint(corners.top, corners.bottom)];
    let [w, h] = [corners.right - corners.left, corners.bottom - corners.top];
    let [w, h] = [(w / width).max(LEAST), (h / height).max(LEAST)];
    let mut line = format!("0 {:.6} {:.6} {w:.6} {h:.6}", x / width, y / height);
    for point in face.keypoints.iter().filter(|_| has_keypoints) {
        let inside = point
            .map(|[x, y]| [x / width, y / height])
            .filter(|point| point.iter().all(|value| (0.0..=1.0).contains(value)));
        let _ = match inside {
            Some([x, y]) => write!(line, " {x:.6} {y:.6} 2"),
            None => write!(line, " 0 0 0"),
        };
    }
    line
}
