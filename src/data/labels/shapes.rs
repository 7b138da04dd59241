//! Shapes that people draw around faces, and points in faces, as rows: what CVAT, `LabelMe` and Label Studio share.

use std::sync::Arc;

use super::columns::KEYPOINTS;
use super::{Face, Row};
use crate::data::reporter::Reporter;
use crate::geometry::Keypoints;

/// Left, top, right and bottom.
pub(super) type Corners = [f32; 4];

/// Coordinates beyond this are a mistake: no picture has so many pixels on a side.
const LARGEST: f32 = 1e7;

/// Everything that a label file says about one picture.
#[derive(Debug, Default)]
pub(super) struct ShapePicture {
    /// Its line or position in the file.
    pub(super) number: u64,
    /// The picture's path as the file spells it.
    pub(super) path: String,
    /// Its width and height, if the file states them.
    pub(super) size: Option<[f32; 2]>,
    pub(super) shapes: Vec<DrawnShape>,
}

/// A shape, or a point.
#[derive(Debug)]
pub(super) struct DrawnShape {
    /// Its line in the file, or its position among the file's shapes, from 1.
    pub(super) number: u64,
    /// What the user called it.
    pub(super) label: String,
    /// Shapes of one group belong together.
    pub(super) group: Option<String>,
    /// In the table's units; an error says why the shape cannot be used.
    pub(super) outline: Result<ShapeOutline, String>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum ShapeOutline {
    /// The box around a shape.
    Box(Corners),
    Point([f32; 2]),
}

impl DrawnShape {
    /// Returns the keypoint's index and position, if this is a point that the network learns, such as `left_eye`.
    fn keypoint(&self) -> Option<(usize, [f32; 2])> {
        match self.outline {
            Ok(ShapeOutline::Point(at)) => Some((keypoint(&self.label)?, at)),
            _ => None,
        }
    }
}

impl ShapePicture {
    /// Converts the shapes to rows with corners. A picture without shapes is a negative.
    ///
    /// A keypoint is part of a face's row: of the box in its group, or else of the smallest box around it that has no
    /// such keypoint yet. A shape that is not a box, or a keypoint without a box, may still show a face.
    ///
    /// * `path`: the label file.
    pub(super) fn into_rows(self, path: &Arc<str>, report: &mut Reporter) -> Vec<Row> {
        let Self { number, path: image_path, size, shapes } = self;
        let row = |number, face, category| Row {
            file: Some(path.clone()),
            size,
            category,
            ..Row::new(number, image_path.clone(), face)
        };
        if shapes.is_empty() {
            return vec![row(number, Face::None, String::new())];
        }
        let (points, others): (Vec<DrawnShape>, Vec<DrawnShape>) =
            shapes.into_iter().partition(|shape| shape.keypoint().is_some());
        let mut lose = |number, kind, reason| {
            report.lose_row(kind, path, number, reason);
            Face::Unknown
        };
        let (mut rows, mut groups) = (Vec::new(), Vec::new());
        for DrawnShape { number, label, group, outline } in others {
            let face = match outline {
                Ok(ShapeOutline::Box(corners)) => Face::At(corners),
                Ok(ShapeOutline::Point(_)) => {
                    let reason = format!(
                        "{label:?} is a point, not a box, and none of the keypoints {}",
                        KEYPOINTS.join(", ")
                    );
                    lose(number, "shape without a box", reason)
                }
                Err(reason) => lose(number, "shape without a box", reason),
            };
            rows.push(row(number, face, label));
            groups.push(group);
        }
        for point in points {
            let Some((keypoint, at)) = point.keypoint() else { continue };
            if let Some(face) = face_of(keypoint, at, point.group.as_ref(), &rows, &groups) {
                rows[face].keypoints[keypoint] = Some(at);
            } else {
                let reason = format!("no box contains the keypoint {:?}", point.label);
                let face = lose(point.number, "keypoint without a box", reason);
                rows.push(row(point.number, face, point.label));
                groups.push(None);
            }
        }
        rows
    }
}

/// Returns the index of the face that a keypoint belongs to.
fn face_of(
    keypoint: usize,
    [x, y]: [f32; 2],
    group: Option<&String>,
    rows: &[Row],
    groups: &[Option<String>],
) -> Option<usize> {
    let open = rows.iter().zip(groups).enumerate().filter_map(|(index, (row, own))| {
        let Face::At([left, top, right, bottom]) = row.face else { return None };
        let is_around = (left..=right).contains(&x) && (top..=bottom).contains(&y);
        let is_grouped = group.is_some() && group == own.as_ref();
        let area = (right - left) * (bottom - top);
        let is_open = row.keypoints[keypoint].is_none() && (is_grouped || is_around);
        is_open.then_some((index, is_grouped, area))
    });
    let best = open.min_by(|(_, a_grouped, a), (_, b_grouped, b)| {
        b_grouped.cmp(a_grouped).then(a.total_cmp(b))
    });
    best.map(|(index, ..)| index)
}

/// Returns the index of the keypoint that a label names.
fn keypoint(label: &str) -> Option<usize> {
    let name = label.trim().to_lowercase().replace([' ', '-'], "_");
    KEYPOINTS.iter().position(|known| *known == name)
}

/// Converts the five landmarks of `RetinaFace` and similar models: eyes, nose and corners of the mouth, the viewer's
/// left first. The eye on the viewer's left is the right eye.
pub(super) fn from_landmarks(landmarks: [Option<[f32; 2]>; 5]) -> Keypoints {
    let [right_eye, left_eye, nose, left, right] = landmarks;
    let mouth = left.zip(right);
    let mouth = mouth.map(|(a, b)| [f32::midpoint(a[0], b[0]), f32::midpoint(a[1], b[1])]);
    [right_eye, left_eye, nose, mouth, None, None]
}

/// Returns the box around points.
pub(super) fn around(points: impl IntoIterator<Item = [f32; 2]>) -> Result<Corners, String> {
    let mut corners = [f32::INFINITY, f32::INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY];
    for point in points {
        let [x, y] = plausible(point)?;
        let [left, top, right, bottom] = corners;
        corners = [left.min(x), top.min(y), right.max(x), bottom.max(y)];
    }
    let [left, top, right, bottom] = corners;
    match (right > left, bottom > top) {
        (true, true) => Ok(corners),
        _ if left > right => Err("it has no points".to_owned()),
        _ => Err(format!("the box {left},{top},{right},{bottom} has no width or height")),
    }
}

/// Returns the point, unless a coordinate is not a number or is absurdly large.
pub(super) fn plausible(point: [f32; 2]) -> Result<[f32; 2], String> {
    match point.into_iter().find(|value| value.is_nan() || value.abs() > LARGEST) {
        None => Ok(point),
        Some(value) => Err(format!("the coordinate {value:e} cannot be in a picture")),
    }
}

/// Turns points clockwise, as seen in the picture, around `pivot`.
pub(super) fn turned<const N: usize>(
    points: [[f32; 2]; N],
    [pivot_x, pivot_y]: [f32; 2],
    degrees: f32,
) -> [[f32; 2]; N] {
    let (sin, cos) = degrees.to_radians().sin_cos();
    points.map(|[x, y]| {
        let (dx, dy) = (x - pivot_x, y - pivot_y);
        [pivot_x + dx * cos - dy * sin, pivot_y + dx * sin + dy * cos]
    })
}

/// Returns the four corners of a rectangle.
pub(super) fn rectangle([left, top, right, bottom]: Corners) -> [[f32; 2]; 4] {
    [[left, top], [right, top], [right, bottom], [left, bottom]]
}

/// Returns the box around an ellipse that is turned around its centre, as two opposite corners.
pub(super) fn ellipse([x, y]: [f32; 2], [a, b]: [f32; 2], degrees: f32) -> [[f32; 2]; 2] {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (dx, dy) = ((a * cos).hypot(b * sin), (a * sin).hypot(b * cos));
    [[x - dx, y - dy], [x + dx, y + dy]]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(number: u64, label: &str, group: Option<&str>, outline: ShapeOutline) -> DrawnShape {
        let group = group.map(str::to_owned);
        DrawnShape { number, label: label.to_owned(), group, outline: Ok(outline) }
    }

    fn rows(shapes: Vec<DrawnShape>) -> (Vec<Row>, Reporter) {
        let mut report = Reporter::default();
        let picture = ShapePicture { number: 1, path: "a.jpg".to_owned(), size: None, shapes };
        (picture.into_rows(&"a.json".into(), &mut report), report)
    }

    #[test]
    fn keypoints_go_to_the_box_of_their_group_or_to_the_smallest_around_them() {
        use ShapeOutline::{Box, Point};
        let (rows, _) = rows(vec![
            shape(1, "face", None, Box([0.0, 0.0, 40.0, 40.0])),
            shape(2, "face", Some("7"), Box([10.0, 10.0, 20.0, 20.0])),
            shape(3, "Left eye", None, Point([15.0, 15.0])),
            shape(4, "left-eye", None, Point([16.0, 15.0])),
            shape(5, "nose", Some("7"), Point([30.0, 30.0])),
        ]);
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[1].keypoints[1], Some([15.0, 15.0]));
        assert_eq!(rows[0].keypoints[1], Some([16.0, 15.0]), "the smaller box has its left eye");
        assert_eq!(rows[1].keypoints[2], Some([30.0, 30.0]), "of its group");
    }

    #[test]
    fn points_without_a_box_leave_it_unknown_whether_there_is_a_face() {
        let point = |label| shape(1, label, None, ShapeOutline::Point([1.0, 1.0]));
        for (label, kind) in [("face", "shape without a box"), ("nose", "keypoint without a box")] {
            let (rows, report) = rows(vec![point(label)]);
            assert_eq!((rows.len(), rows[0].face), (1, Face::Unknown), "{label}");
            assert_eq!(report.told.rows.left_out[kind], 1);
        }
    }

    #[test]
    fn boxes_around_rotated_shapes_touch_them_on_all_sides() {
        let near = |a: Corners, b: Corners| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3);
        let square = turned(rectangle([10.0, 10.0, 20.0, 20.0]), [15.0, 15.0], 45.0);
        let half = 50.0_f32.sqrt();
        let expected = [15.0 - half, 15.0 - half, 15.0 + half, 15.0 + half];
        assert!(near(around(square).unwrap(), expected));
        let lying = around(ellipse([15.0, 15.0], [2.0, 6.0], 90.0)).unwrap();
        assert!(near(lying, [9.0, 13.0, 21.0, 17.0]), "{lying:?}");
        let [right, down] = turned([[11.0, 10.0], [10.0, 11.0]], [10.0, 10.0], 90.0);
        assert!((right[1] - 11.0).abs() < 1e-5, "clockwise: right becomes down");
        assert!((down[0] - 9.0).abs() < 1e-5, "and down becomes left");
    }

    #[test]
    fn shapes_without_an_area_and_absurd_numbers_are_refused() {
        for (points, reason) in [
            (vec![], "it has no points"),
            (vec![[1.0, 1.0], [1.0, 5.0]], "the box 1,1,1,5 has no width or height"),
            (vec![[1.0, f32::NAN]], "the coordinate NaN cannot be in a picture"),
            (vec![[1.0, 1.0], [-1e30, 5.0]], "the coordinate -1e30 cannot be in a picture"),
        ] {
            assert_eq!(around(points).unwrap_err(), reason);
        }
    }
}
