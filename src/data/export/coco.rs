//! COCO JSON: `annotations/instances_{split}.json`, with paths from the zip's root.
//!
//! Source: <https://cocodataset.org/#format-data>

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{json, to_writer};

use super::archive::ExportArchive;
use super::content::Content;
use super::format::split_name;
use super::labelled::{LabelledPicture, PixelBox};
use crate::geometry::KEYPOINT_NAMES;

const FACE: u32 = 1;

#[derive(Serialize)]
struct Image<'a> {
    id: u64,
    file_name: &'a str,
    width: u32,
    height: u32,
}

#[derive(Serialize)]
struct Annotation {
    id: u64,
    image_id: u64,
    category_id: u32,
    bbox: [f64; 4],
    area: f64,
    /// 1 for a place to ignore.
    iscrowd: u8,
    /// Empty: there are only boxes. Many readers require the key.
    segmentation: [f64; 0],
    /// x, y and visibility of each: 2 if it is labelled, all 0 if not. Left out if the data set has no keypoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    keypoints: Option<[f64; 18]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_keypoints: Option<usize>,
}

/// Writes a file for each split.
pub(super) fn write(content: &Content, archive: &mut ExportArchive<impl Write>) -> io::Result<()> {
    // The files' IDs differ, so that the files can be combined.
    let (mut image_id, mut annotation_id) = (1, 1);
    for split in content.splits() {
        let out = archive.text(&format!("annotations/instances_{}.json", split_name(split)))?;
        write!(out, "{{\"info\":")?;
        to_writer(&mut *out, &json!({"description": content.name}))?;
        write!(out, ",\"licenses\":[],\"categories\":[")?;
        to_writer(&mut *out, &category(content.has_keypoints))?;
        write!(out, "],\"images\":[")?;
        let first_id = image_id;
        for LabelledPicture { path, width, height, .. } in content.of_split(split) {
            separate(out, image_id > first_id)?;
            to_writer(&mut *out, &Image { id: image_id, file_name: path, width, height })?;
            image_id += 1;
        }
        write!(out, "\n],\"annotations\":[")?;
        let first_annotation = annotation_id;
        for (image_id, picture) in (first_id..).zip(content.of_split(split)) {
            for annotation in annotations(picture, image_id, content.has_keypoints) {
                separate(out, annotation_id > first_annotation)?;
                to_writer(&mut *out, &Annotation { id: annotation_id, ..annotation })?;
                annotation_id += 1;
            }
        }
        write!(out, "\n]}}\n")?;
    }
    Ok(())
}

/// Begins an item of a list on its own line, so that people can read the file.
fn separate(out: &mut dyn Write, has_previous: bool) -> io::Result<()> {
    out.write_all(if has_previous { b",\n" } else { b"\n" })
}

fn category(has_keypoints: bool) -> serde_json::Value {
    if has_keypoints {
        json!({"id": FACE, "name": "face", "supercategory": "", "keypoints": KEYPOINT_NAMES, "skeleton": []})
    } else {
        json!({"id": FACE, "name": "face", "supercategory": ""})
    }
}

fn annotations(
    picture: LabelledPicture<'_>,
    image_id: u64,
    has_keypoints: bool,
) -> impl Iterator<Item = Annotation> {
    let annotation = move |corners: PixelBox, iscrowd, points: [Option<[f64; 2]>; 6]| {
        let bbox = corners.to_xywh();
        let labelled = points.iter().flatten().count();
        let mut keypoints = [0.0; 18];
        for (values, [x, y]) in
            keypoints.chunks_exact_mut(3).zip(points).filter_map(|(at, point)| Some((at, point?)))
        {
            values.copy_from_slice(&[x, y, 2.0]);
        }
        Annotation {
            id: 0,
            image_id,
            category_id: FACE,
            bbox,
            area: bbox[2] * bbox[3],
            iscrowd,
            segmentation: [],
            keypoints: has_keypoints.then_some(keypoints),
            num_keypoints: has_keypoints.then_some(labelled),
        }
    };
    let faces = picture.faces().map(move |face| annotation(face.corners, 0, face.keypoints));
    faces.chain(picture.ignored().map(move |place| annotation(place, 1, [None; 6])))
}
