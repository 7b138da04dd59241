//! The points of 300-W and related data sets: one `.pts` file per picture, with the outline of one face. Pixels are
//! counted from 1.
//!
//! Source: <https://ibug.doc.ic.ac.uk/resources/facial-point-annotations/>; `menpo` subtracts 1 in the same way.

use std::sync::Arc;

use super::format::{LabelFile, LabelFormat, table};
use super::shapes::{around, from_landmarks, plausible};
use super::{BoxShape, Face, LabelTable, Row, Units};
use crate::data::reporter::Reporter;
use crate::geometry::Keypoints;

/// The scheme with known points: jaw, brows, nose, eyes and mouth, counted from 0.
const KNOWN: usize = 68;
const CHIN: usize = 8;
const BROWS: std::ops::Range<usize> = 17..27;
const NOSE_TIP: usize = 30;
const EYES: [std::ops::Range<usize>; 2] = [36..42, 42..48];
const MOUTH_CORNERS: [usize; 2] = [48, 54];
/// The forehead that a box includes, as a share of the distance from the brows to the chin. The two boxes that
/// `RetinaFace`'s documentation quotes from WIDER FACE include 0.22 and 0.44.
const FOREHEAD: f32 = 1.0 / 3.0;
/// Fewer points do not outline a face.
const FEWEST: usize = 20;

/// The line that usually holds a file's first point.
const FIRST_POINT: u64 = 4;

/// Whether a text is a list of points.
pub(super) fn is_points(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.next().is_some_and(|line| line.starts_with("version:"))
        && lines.next().is_some_and(|line| line.starts_with("n_points:"))
}

/// Reads the files of one split.
///
/// * `folder`: the table's name.
pub(in crate::data) fn read(
    folder: String,
    files: &[&LabelFile],
    mut report: Reporter,
) -> LabelTable {
    let mut rows = Vec::new();
    for file in files {
        let path: Arc<str> = file.path.as_str().into();
        let image_path = path.rsplit_once('.').map_or(&*path, |(stem, _)| stem).to_owned();
        let read = points(&file.text)
            .and_then(|points| face(&points).map_err(|reason| (FIRST_POINT, reason)));
        let (face, keypoints) = match read {
            Ok((corners, keypoints)) => (Face::At(corners), keypoints),
            Err((line, reason)) => {
                report.lose_row("unreadable points", &path, line, reason);
                (Face::Unknown, Keypoints::default())
            }
        };
        rows.push(Row { file: Some(path), keypoints, ..Row::new(FIRST_POINT, image_path, face) });
    }
    let given = rows.len() as u64;
    let source = (folder, LabelFormat::Points, files.len() as u64);
    table(source, (BoxShape::Xyxy, Units::Pixels), rows, given, report)
}

/// Returns the points, with pixels counted from 0. If a line is bad, returns its number and what is wrong with it.
fn points(text: &str) -> Result<Vec<[f32; 2]>, (u64, String)> {
    let mut lines = (1..).zip(text.lines().map(str::trim));
    let mut stated = None;
    for (number, line) in lines.by_ref().take_while(|(_, line)| *line != "{") {
        if let Some(count) = line.strip_prefix("n_points:") {
            let bad = || (number, format!("n_points is {:?}, not a number", count.trim()));
            stated = Some(count.trim().parse::<usize>().map_err(|_| bad())?);
        }
    }
    let mut points = Vec::new();
    let mut last = 0;
    for (number, line) in lines.take_while(|(_, line)| *line != "}") {
        last = number;
        if line.is_empty() {
            continue;
        }
        let mut numbers = line.split_whitespace().map(str::parse::<f32>);
        let (Some(Ok(x)), Some(Ok(y)), None) = (numbers.next(), numbers.next(), numbers.next())
        else {
            let line: String = line.chars().take(80).collect();
            return Err((number, format!("{line:?} is not a point; expected x and y")));
        };
        points.push(plausible([x - 1.0, y - 1.0]).map_err(|reason| (number, reason))?);
    }
    match stated {
        Some(count) if count != points.len() => {
            Err((last, format!("it has {} points, but n_points is {count}", points.len())))
        }
        _ => Ok(points),
    }
}

/// Returns a face's box and, if there are 68 points, its keypoints.
fn face(points: &[[f32; 2]]) -> Result<([f32; 4], Keypoints), String> {
    if points.len() < FEWEST {
        return Err(format!(
            "{} points do not outline a face; at least {FEWEST} are needed for a box",
            points.len()
        ));
    }
    if points.len() != KNOWN {
        return Ok((around(points.iter().copied())?, Keypoints::default()));
    }
    let [chin_x, chin_y] = points[CHIN];
    let [brow_x, brow_y] = mean(&points[BROWS]);
    let up = [(brow_x - chin_x) * FOREHEAD, (brow_y - chin_y) * FOREHEAD];
    let forehead = points[BROWS].iter().map(|[x, y]| [x + up[0], y + up[1]]);
    let corners = around(points.iter().copied().chain(forehead))?;
    // In this scheme, as in others, the side on the left of the picture comes first.
    let [left, right] = EYES.map(|eye| Some(mean(&points[eye])));
    let [mouth_left, mouth_right] = MOUTH_CORNERS.map(|corner| Some(points[corner]));
    let nose = Some(points[NOSE_TIP]);
    Ok((corners, from_landmarks([left, right, nose, mouth_left, mouth_right])))
}

fn mean(points: &[[f32; 2]]) -> [f32; 2] {
    let sum = points.iter().fold([0.0; 2], |[x, y], point| [x + point[0], y + point[1]]);
    sum.map(|sum| sum / points.len() as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    fn text(points: &[[f32; 2]]) -> String {
        let mut text = format!("version: 1\nn_points:  {}\n{{\n", points.len());
        for [x, y] in points {
            writeln!(text, "{x:.3} {y:.3}").unwrap();
        }
        text + "}\n"
    }

    /// An upright face, with pixels counted from 0: the jaw from (10, 40) via the chin at (30, 80) to (50, 40), brows
    /// at 32.
    fn upright() -> Vec<[f32; 2]> {
        let jaw = (0_u8..17).map(|number| {
            let angle = std::f32::consts::PI * f32::from(number) / 16.0;
            [30.0 - 20.0 * angle.cos(), 40.0 + 40.0 * angle.sin()]
        });
        let brows = (0_u8..10).map(|number| [16.0 + 3.0 * f32::from(number), 32.0]);
        let nose = (0..9).map(|_| [30.0, 55.0]);
        let eyes = [20.0, 40.0].into_iter().flat_map(|x| (0..6).map(move |_| [x, 40.0]));
        let mouth = (0..20).map(|number| [if number < 6 { 22.0 } else { 38.0 }, 66.0]);
        jaw.chain(brows).chain(nose).chain(eyes).chain(mouth).collect()
    }

    fn parsed(text: &str) -> LabelTable {
        assert!(is_points(text));
        let file = LabelFile { path: "x/a.1.pts".to_owned(), text: text.to_owned() };
        read("x".to_owned(), &[&file], Reporter::default())
    }

    fn from_one(points: &[[f32; 2]]) -> Vec<[f32; 2]> {
        points.iter().map(|[x, y]| [x + 1.0, y + 1.0]).collect()
    }

    #[test]
    fn the_box_reaches_from_the_forehead_to_the_chin_and_keypoints_are_found() {
        let table = parsed(&text(&from_one(&upright())));
        let row = &table.rows[0];
        assert_eq!(row.image_path, "x/a.1");
        let Face::At(corners) = row.face else { panic!("{row:?}") };
        let near = |a: f32, b: f32| (a - b).abs() < 0.01;
        assert!(
            corners.iter().zip([10.0, 16.0, 50.0, 80.0]).all(|(&a, b)| near(a, b)),
            "{corners:?}"
        );
        for (at, expected) in
            row.keypoints.iter().zip([[20.0, 40.0], [40.0, 40.0], [30.0, 55.0], [30.0, 66.0]])
        {
            let at = at.unwrap();
            assert!(near(at[0], expected[0]) && near(at[1], expected[1]), "{at:?}");
        }
    }

    #[test]
    fn the_forehead_of_a_face_on_its_side_is_beside_it() {
        let lying: Vec<[f32; 2]> = upright().into_iter().map(|[x, y]| [100.0 - y, x]).collect();
        let Face::At(corners) = parsed(&text(&from_one(&lying))).rows[0].face else { panic!() };
        let expected = [20.0, 10.0, 84.0, 50.0];
        assert!(corners.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.01), "{corners:?}");
    }

    #[test]
    fn other_schemes_give_the_box_around_their_points() {
        let points: Vec<_> = (0_u8..21).map(|n| [f32::from(n), f32::from(n % 7)]).collect();
        let row = &parsed(&text(&from_one(&points))).rows[0];
        assert_eq!(row.face, Face::At([0.0, 0.0, 20.0, 6.0]));
        assert_eq!(row.keypoints, Keypoints::default());
    }

    #[test]
    fn bad_files_are_reported_with_the_line() {
        let start = "version: 1\nn_points: 2\n{\n";
        for (text, reason) in [
            (
                format!("{start}1 2\n3 4\n}}"),
                "row 4: 2 points do not outline a face; at least 20 are needed for a box",
            ),
            (format!("{start}1 2\n"), "row 4: it has 1 points, but n_points is 2"),
            (format!("{start}1 2\n3 x\n}}"), "row 5: \"3 x\" is not a point; expected x and y"),
            (format!("{start}1 NaN\n"), "row 4: the coordinate NaN cannot be in a picture"),
            (
                "version: 1\nn_points: many\n{\n".to_owned(),
                "row 2: n_points is \"many\", not a number",
            ),
            (text(&[[5.0, 5.0]; 68]), "row 4: the box 4,4,4,4 has no width or height"),
        ] {
            let table = parsed(&text);
            assert_eq!(table.rows[0].face, Face::Unknown);
            assert_eq!(table.report.told.problems[0].to_string(), format!("x/a.1.pts, {reason}"));
        }
    }
}
