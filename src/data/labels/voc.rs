//! Pascal VOC XML: one file per picture, one `object` per box, with corners in pixels.

use quick_xml::de::from_str;
use serde::Deserialize;
use std::sync::Arc;

use super::categories::keep_faces;
use super::format::{LabelFile, LabelFormat, Unread, table};
use super::{BoxShape, Face, LabelOptions, LabelTable, Row, Units};
use crate::data::reporter::Reporter;

#[derive(Deserialize)]
struct Annotation {
    filename: Option<String>,
    size: Option<Size>,
    #[serde(default)]
    object: Vec<Object>,
}

#[derive(Deserialize)]
struct Size {
    width: f32,
    height: f32,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    name: String,
    bndbox: Option<Corners>,
}

#[derive(Deserialize)]
struct Corners {
    xmin: f32,
    ymin: f32,
    xmax: f32,
    ymax: f32,
}

/// Reads the files of one split.
///
/// * `folder`: the table's name.
pub(in crate::data) fn read(
    folder: String,
    files: &[&LabelFile],
    options: &LabelOptions,
    mut report: Reporter,
) -> Result<LabelTable, Unread> {
    let (mut rows, mut given) = (Vec::new(), 0);
    for file in files {
        let path: Arc<str> = file.path.as_str().into();
        let annotation: Annotation = match from_str(&file.text) {
            Ok(annotation) => annotation,
            Err(error) => {
                given += 1;
                report.lose_row(
                    "unreadable row",
                    &path,
                    0,
                    format!("is not Pascal VOC XML: {error}"),
                );
                continue;
            }
        };
        let image_path = image_path(&path, annotation.filename.as_deref());
        let size = annotation.size.map(|size| [size.width, size.height]);
        let size = size.filter(|size| size.iter().all(|&length| length > 0.0));
        let row = |number, face, category| Row {
            file: Some(path.clone()),
            size,
            category,
            ..Row::new(number, image_path.clone(), face)
        };
        given += annotation.object.len().max(1) as u64;
        if annotation.object.is_empty() {
            rows.push(row(1, Face::None, String::new()));
        }
        for (number, object) in (1..).zip(annotation.object) {
            let face = face(object.bndbox.as_ref()).unwrap_or_else(|reason| {
                report.lose_row("box without size", &path, number, reason);
                Face::Unknown
            });
            rows.push(row(number, face, object.name));
        }
    }
    keep_faces(&mut rows, options, &folder, &mut report)?;
    let source = (folder, LabelFormat::Voc, files.len() as u64);
    Ok(table(source, (BoxShape::Xyxy, Units::Pixels), rows, given, report))
}

/// Returns the picture's path. Without a `filename`, it is the label file's path without its extension, which
/// [`super::super::names`] can match.
fn image_path(path: &str, filename: Option<&str>) -> String {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let name = filename.map(str::trim).filter(|name| !name.is_empty());
    let own = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".xml");
    if folder.is_empty() {
        name.unwrap_or(own).to_owned()
    } else {
        format!("{folder}/{}", name.unwrap_or(own))
    }
}

fn face(corners: Option<&Corners>) -> Result<Face, String> {
    let Some(&Corners { xmin, ymin, xmax, ymax }) = corners else {
        return Err("it has no bndbox".to_owned());
    };
    if xmax <= xmin || ymax <= ymin {
        return Err(format!("its bndbox {xmin},{ymin},{xmax},{ymax} has no width or height"));
    }
    Ok(Face::At([xmin, ymin, xmax, ymax]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_read_and_a_file_without_objects_marks_a_negative() {
        let file =
            |name: &str, text: &str| LabelFile { path: name.to_owned(), text: text.to_owned() };
        let files = [
            file(
                "x/a.xml",
                "<annotation><filename>a.png</filename><size><width>64</width><height>48</height></size>\
                <object><name>face</name><bndbox><xmin>1</xmin><ymin>2.5</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>\
                </object><segmented>0</segmented><object><name>face</name></object></annotation>",
            ),
            file(
                "x/b.xml",
                "<annotation><size><width>0</width><height>0</height></size></annotation>",
            ),
            file("x/c.xml", "<annotation><object>"),
        ];
        let files: Vec<&LabelFile> = files.iter().collect();
        let table =
            read("x".to_owned(), &files, &LabelOptions::default(), Reporter::default()).unwrap();
        let rows: Vec<_> =
            table.rows.iter().map(|row| (row.image_path.as_str(), row.face)).collect();
        assert_eq!(
            rows,
            [
                ("x/a.png", Face::At([1.0, 2.5, 9.0, 9.0])),
                ("x/a.png", Face::Unknown),
                ("x/b", Face::None)
            ]
        );
        assert_eq!((table.rows[0].size, table.rows[2].size), (Some([64.0, 48.0]), None));
        assert_eq!((table.given, table.nameless), (4, 1));
    }
}
