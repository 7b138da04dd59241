//! `LabelMe` JSON: one file per picture, with a list of shapes in pixels. `X-AnyLabeling` and others write the same
//! format.
//!
//! Source: `labelme/label_file.py` of <https://github.com/wkentaro/labelme>.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::categories::keep_faces;
use super::format::{LabelFile, LabelFormat, Unread, table};
use super::shapes::{DrawnShape, ShapeOutline, ShapePicture, around, plausible};
use super::{BoxShape, LabelOptions, LabelTable, Units};
use crate::data::reporter::Reporter;

/// A file. Its `imageData`, which is the picture in Base64, has been skipped by [`super::embedded`].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LabelMe {
    shapes: Vec<Drawn>,
    image_path: String,
    #[serde(default)]
    image_width: Option<f32>,
    #[serde(default)]
    image_height: Option<f32>,
}

#[derive(Deserialize)]
struct Drawn {
    #[serde(default)]
    label: Value,
    #[serde(default)]
    points: Vec<[f32; 2]>,
    #[serde(default)]
    group_id: Value,
    /// Old files have none: they hold polygons only.
    #[serde(default)]
    shape_type: Option<String>,
}

/// Whether a JSON text lists a picture's shapes.
pub(super) fn is_labelme(text: &str) -> bool {
    text.trim_start().starts_with('{')
        && text.contains("\"shapes\"")
        && text.contains("\"imagePath\"")
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
    let (mut rows, mut nameless) = (Vec::new(), 0);
    for file in files {
        let path: Arc<str> = file.path.as_str().into();
        match serde_json::from_str::<LabelMe>(&file.text) {
            Ok(labels) => rows.extend(labels.picture(&path).into_rows(&path, &mut report)),
            Err(error) => {
                let reason = format!("is not LabelMe JSON: {error}");
                report.lose_row("unreadable row", &path, error.line() as u64, reason);
                nameless += 1;
            }
        }
    }
    keep_faces(&mut rows, options, &folder, &mut report)?;
    let given = rows.len() as u64 + nameless;
    let source = (folder, LabelFormat::LabelMe, files.len() as u64);
    Ok(table(source, (BoxShape::Xyxy, Units::Pixels), rows, given, report))
}

impl LabelMe {
    /// * `path`: the file's path, which `imagePath` is relative to.
    fn picture(self, path: &str) -> ShapePicture {
        let name = self.image_path.replace('\\', "/");
        let path = match path.rsplit_once('/') {
            Some((folder, _)) => format!("{folder}/{name}"),
            None => name,
        };
        let size = self.image_width.zip(self.image_height);
        let size = size.filter(|&(width, height)| width > 0.0 && height > 0.0);
        let shapes = (1..).zip(self.shapes).map(|(number, drawn)| DrawnShape {
            number,
            outline: drawn.outline(),
            label: text(&drawn.label).unwrap_or_default(),
            group: text(&drawn.group_id),
        });
        ShapePicture { number: 1, path, size: size.map(Into::into), shapes: shapes.collect() }
    }
}

impl Drawn {
    fn outline(&self) -> Result<ShapeOutline, String> {
        let points = &self.points[..];
        let corners = match (self.shape_type.as_deref().unwrap_or("polygon"), points) {
            ("point" | "points", &[point]) => return plausible(point).map(ShapeOutline::Point),
            ("circle", &[[x, y], [rim_x, rim_y]]) => {
                let radius = (rim_x - x).hypot(rim_y - y);
                around([[x - radius, y - radius], [x + radius, y + radius]])
            }
            ("rectangle" | "polygon" | "linestrip" | "rotation" | "mask", _) => {
                around(points.iter().copied())
            }
            (kind, _) => Err(format!("it is a {kind} with {} points, not a box", points.len())),
        };
        corners.map(ShapeOutline::Box)
    }
}

/// Returns a text or a number as text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::labels::Face;
    use serde_json::json;

    fn parsed(path: &str, text: &str) -> LabelTable {
        let file = LabelFile { path: path.to_owned(), text: text.to_owned() };
        assert!(is_labelme(text));
        read("x".to_owned(), &[&file], &LabelOptions::default(), Reporter::default()).unwrap()
    }

    fn shapes(shapes: &Value, image_path: &str) -> String {
        json!({"version": "5.2.1", "flags": {}, "shapes": shapes, "imagePath": image_path,
               "imageData": null, "imageHeight": 48, "imageWidth": 64})
        .to_string()
    }

    #[test]
    fn rectangles_polygons_circles_and_points_are_read() {
        let text = shapes(
            &json!([
                {"label": "face", "points": [[9.5, 8], [1, 2]], "group_id": null, "shape_type": "rectangle", "flags": {}},
                {"label": "face", "points": [[1, 5], [7, 2], [4, 9]], "shape_type": "polygon"},
                {"label": "face", "points": [[20, 20], [23, 24]], "shape_type": "circle"},
                {"label": "face", "points": [[1, 5], [7, 2], [4, 9]]},
                {"label": "nose", "points": [[4, 6]], "group_id": null, "shape_type": "point"},
                {"label": 7, "points": [[1, 1], [2, 2]], "shape_type": "rectangle"}
            ]),
            "..\\images\\a.jpg",
        );
        let table = parsed("x/labels/a.json", &text);
        let faces: Vec<_> = table.rows.iter().map(|row| row.face).collect();
        let triangle = Face::At([1.0, 2.0, 7.0, 9.0]);
        let rectangle = Face::At([1.0, 2.0, 9.5, 8.0]);
        let circle = Face::At([15.0, 15.0, 25.0, 25.0]);
        assert_eq!(faces, [rectangle, triangle, circle, triangle, Face::Other]);
        assert_eq!(table.rows[1].keypoints[2], Some([4.0, 6.0]));
        assert_eq!(table.rows[0].image_path, "x/labels/../images/a.jpg");
        assert_eq!(table.rows[0].size, Some([64.0, 48.0]));
    }

    #[test]
    fn a_file_without_shapes_marks_a_negative() {
        let table = parsed("a.json", &shapes(&json!([]), "a.jpg"));
        assert_eq!((table.rows.len(), table.rows[0].face), (1, Face::None));
    }

    #[test]
    fn bad_shapes_and_bad_files_are_reported_with_their_rows() {
        let text = shapes(
            &json!([
                {"label": "face", "points": [[1, 1], [1, 9]], "shape_type": "rectangle"},
                {"label": "face", "points": [], "shape_type": "polygon"},
                {"label": "face", "points": [[1, 1], [2, 2]], "shape_type": "line"},
                {"label": "face", "points": [[1e30, 1], [2, 2]], "shape_type": "rectangle"},
                {"label": "face", "points": [[1, 1]], "shape_type": "circle"}
            ]),
            "a.jpg",
        );
        let table = parsed("a.json", &text);
        let told: Vec<_> = table.report.told.problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "a.json, row 1: the box 1,1,1,9 has no width or height",
                "a.json, row 2: it has no points",
                "a.json, row 3: it is a line with 2 points, not a box",
                "a.json, row 4: the coordinate 1e30 cannot be in a picture",
                "a.json, row 5: it is a circle with 1 points, not a box",
            ]
        );
        for (text, reason) in [
            (
                "{\"imagePath\": \"a\",\n\"shapes\": [}",
                "a.json, row 2: is not LabelMe JSON: expected value at line 2",
            ),
            (
                "{\"imagePath\": 1,\"shapes\": []}",
                "a.json, row 1: is not LabelMe JSON: invalid type: integer `1`",
            ),
            (
                "{\"imagePath\": \"a\", \"shapes\": [{\"points\": [[NaN, 1]]}]}",
                "a.json, row 1: is not LabelMe JSON: expected value",
            ),
            (
                "{\"imagePath\": \"a\", \"shapes\": [{\"points\": [[1]]}]}",
                "a.json, row 1: is not LabelMe JSON: invalid length 1",
            ),
        ] {
            let table = parsed("a.json", text);
            assert_eq!((table.given, table.nameless), (1, 1));
            let told = table.report.told.problems[0].to_string();
            assert!(told.starts_with(reason), "{told}");
        }
    }
}
