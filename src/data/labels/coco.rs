//! COCO JSON: pictures, categories, and annotations that refer to both.
//!
//! Source: <https://cocodataset.org/#format-data>

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::categories::keep_faces;
use super::format::{LabelFile, LabelFormat, Unread, table};
use super::{BoxShape, Face, LabelOptions, LabelTable, Row, Units};
use crate::data::reporter::Reporter;
use crate::geometry::Keypoints;

#[derive(Deserialize)]
struct Coco {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    #[serde(default)]
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    /// A number, but some tools write text.
    id: Value,
    file_name: String,
    #[serde(default)]
    width: f32,
    #[serde(default)]
    height: f32,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: Value,
    #[serde(default)]
    category_id: Value,
    #[serde(default)]
    bbox: Vec<f32>,
    /// 1 if the box is around a crowd.
    #[serde(default)]
    iscrowd: Value,
    #[serde(default)]
    keypoints: Vec<f32>,
}

#[derive(Deserialize)]
struct Category {
    id: Value,
    name: String,
    /// Names of the keypoints, in order.
    #[serde(default)]
    keypoints: Vec<String>,
}

/// Reads a file of annotations.
pub(in crate::data) fn read(
    file: &LabelFile,
    options: &LabelOptions,
    mut report: Reporter,
) -> Result<LabelTable, Unread> {
    let coco: Coco = serde_json::from_str(&file.text)
        .map_err(|error| Unread::Damaged(format!("it looks like COCO JSON, but {error}")))?;
    let images: BTreeMap<String, &Image> =
        coco.images.iter().map(|image| (image.id.to_string(), image)).collect();
    let categories: BTreeMap<String, &Category> =
        coco.categories.iter().map(|category| (category.id.to_string(), category)).collect();
    let mut labelled = BTreeSet::new();
    let mut rows = Vec::new();
    let mut given = 0;
    for (number, annotation) in (1..).zip(&coco.annotations) {
        given += 1;
        let id = annotation.image_id.to_string();
        let Some(image) = images.get(&id) else {
            let reason =
                format!("annotation {number} is for image_id {id}, which is not among the images");
            report.lose_row("row without a picture", &file.path, number, reason);
            continue;
        };
        labelled.insert(id);
        let category = categories.get(&annotation.category_id.to_string());
        let face = face(annotation).unwrap_or_else(|reason| {
            report.lose_row("box without size", &file.path, number, reason);
            Face::Unknown
        });
        rows.push(Row {
            size: size(image),
            keypoints: keypoints(annotation, category.map(|category| &category.keypoints[..])),
            category: category.map(|category| category.name.clone()).unwrap_or_default(),
            ..Row::new(number, image.file_name.clone(), face)
        });
    }
    for (number, image) in (1..).zip(&coco.images) {
        if !labelled.contains(&image.id.to_string()) {
            given += 1;
            rows.push(Row::new(number, image.file_name.clone(), Face::None));
        }
    }
    keep_faces(&mut rows, options, &file.path, &mut report)?;
    let source = (file.path.clone(), LabelFormat::Coco, 1);
    Ok(table(source, (BoxShape::Xywh, Units::Pixels), rows, given, report))
}

fn size(image: &Image) -> Option<[f32; 2]> {
    (image.width > 0.0 && image.height > 0.0).then_some([image.width, image.height])
}

fn face(annotation: &Annotation) -> Result<Face, String> {
    let &[x, y, w, h] = &annotation.bbox[..] else {
        return Err(format!("its bbox has {} numbers instead of 4", annotation.bbox.len()));
    };
    if w <= 0.0 || h <= 0.0 {
        return Err(format!("its bbox {x},{y},{w},{h} has no width or height"));
    }
    let is_crowd = matches!(&annotation.iscrowd, Value::Bool(true)) || annotation.iscrowd == 1;
    Ok(if is_crowd { Face::Ignored([x, y, w, h]) } else { Face::At([x, y, w, h]) })
}

/// Returns the keypoints with known names. Each has x, y and a visibility, which is 0 if it is not labelled.
fn keypoints(annotation: &Annotation, names: Option<&[String]>) -> Keypoints {
    let mut keypoints = Keypoints::default();
    for (name, point) in names.unwrap_or_default().iter().zip(annotation.keypoints.chunks_exact(3))
    {
        let name = name.to_lowercase().replace([' ', '-'], "_");
        let known = super::columns::KEYPOINTS.iter().position(|known| *known == name);
        if let Some(known) = known.filter(|_| point[2] > 0.0) {
            keypoints[known] = Some([point[0], point[1]]);
        }
    }
    keypoints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<LabelTable, Unread> {
        let file = LabelFile { path: "a.json".to_owned(), text: text.to_owned() };
        read(&file, &LabelOptions::default(), Reporter::default())
    }

    #[test]
    fn annotations_crowds_keypoints_and_negatives_are_read() {
        let table = parsed(
            r#"{"images": [{"id": 7, "file_name": "a.jpg", "width": 64, "height": 48},
                           {"id": 8, "file_name": "b.jpg"}],
                "categories": [{"id": 1, "name": "face", "keypoints": ["nose", "left_eye"]},
                               {"id": 2, "name": "hat"}],
                "annotations": [
                    {"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4.5], "keypoints": [5, 6, 2, 0, 0, 0]},
                    {"image_id": 7, "category_id": 2, "bbox": [1, 2, 3, 4]},
                    {"image_id": 7, "category_id": 1, "bbox": [9, 9, 9, 9], "iscrowd": 1},
                    {"image_id": 9, "category_id": 1, "bbox": [9, 9, 9, 9]},
                    {"image_id": 7, "category_id": 1, "bbox": [9, 9, 0, 9]}]}"#,
        );
        let table = table.unwrap();
        let faces: Vec<_> = table.rows.iter().map(|row| row.face).collect();
        assert_eq!(
            faces,
            [
                Face::At([1.0, 2.0, 3.0, 4.5]),
                Face::Other,
                Face::Ignored([9.0; 4]),
                Face::Unknown,
                Face::None
            ]
        );
        assert_eq!(table.rows[0].keypoints[2], Some([5.0, 6.0]));
        assert_eq!(table.rows[0].keypoints[1], None, "not labelled");
        assert_eq!(table.rows[0].size, Some([64.0, 48.0]));
        assert_eq!((table.given, table.nameless), (6, 1));
        assert_eq!(table.rows[4].image_path, "b.jpg");
    }

    #[test]
    fn categories_with_the_same_name_are_merged_and_persons_are_not_taken_for_faces() {
        let text = |a: &str, b: &str| {
            format!(
                r#"{{"images": [{{"id": 1, "file_name": "a.jpg"}}],
                    "categories": [{{"id": 1, "name": "{a}"}}, {{"id": 2, "name": "{b}"}}],
                    "annotations": [{{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}},
                                    {{"image_id": 1, "category_id": 2, "bbox": [5, 6, 7, 8]}}]}}"#
            )
        };
        let table = parsed(&text("Visage", "visage")).unwrap();
        assert!(table.rows.iter().all(|row| matches!(row.face, Face::At(_))));
        let error = parsed(&text("person", "person")).unwrap_err();
        assert_eq!(error, Unread::Categories(vec!["person".to_owned()]));
    }
}
