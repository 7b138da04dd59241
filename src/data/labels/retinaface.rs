//! The text files of `RetinaFace` and SCRFD: a line `# path`, then one line per face: a box in pixels, and five
//! landmarks, each with a flag. `RetinaFace`'s boxes are left, top, width and height; SCRFD's are corners, and its line
//! `# path` ends with the picture's width and height.
//!
//! Source: `detection/retinaface/README.md`, `detection/scrfd/README.md` and `mmdet/datasets/retinaface.py` of
//! <https://github.com/deepinsight/insightface>.

use super::format::{LabelFile, LabelFormat, Unread, table};
use super::shapes::{from_landmarks, plausible};
use super::{BoxShape, Face, LabelTable, Row, Units};
use crate::data::extensions::is_picture;
use crate::data::reporter::Reporter;
use crate::geometry::Keypoints;

const BOX: usize = 4;
/// Each landmark has x, y and a flag.
const BOX_AND_LANDMARKS: usize = BOX + 5 * 3;
/// `RetinaFace`'s last number says how sharp the face is.
const BOX_LANDMARKS_AND_BLUR: usize = BOX_AND_LANDMARKS + 1;
/// SCRFD's flag for a face that is ignored.
const BOX_AND_FLAG: usize = BOX + 1;
/// `RetinaFace`'s validation faces have WIDER FACE's attributes.
const BOX_AND_ATTRIBUTES: usize = BOX + 6;
/// Index of the attribute of an invalid face.
const INVALID: usize = 7;

/// A picture and the lines that follow its name.
struct Section<'a> {
    number: u64,
    heading: Heading<'a>,
    lines: Vec<(u64, &'a str)>,
}

/// A line that names a picture.
struct Heading<'a> {
    path: &'a str,
    /// Only in SCRFD's text.
    size: Option<[f32; 2]>,
}

impl<'a> Heading<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let rest = line.trim().strip_prefix('#')?.trim();
        if is_picture(rest) {
            return Some(Self { path: rest, size: None });
        }
        let mut parts = rest.rsplitn(3, char::is_whitespace);
        let (height, width) = (parts.next()?, parts.next()?);
        let path = parts.next().map(str::trim).filter(|path| is_picture(path))?;
        Some(Self { path, size: Some([width.parse().ok()?, height.parse().ok()?]) })
    }
}

/// Returns the format of a text; `None` if it is neither of the two.
pub(super) fn retinaface_format(text: &str) -> Option<LabelFormat> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let heading = Heading::of(lines.next()?)?;
    let is_row = |line: &str| line.split_whitespace().all(|field| field.parse::<f32>().is_ok());
    let is_followed = lines.next().is_none_or(|line| is_row(line) || Heading::of(line).is_some());
    let format = heading.size.map_or(LabelFormat::RetinaFace, |_| LabelFormat::Scrfd);
    is_followed.then_some(format)
}

/// Reads a file. A picture without any face's line is a negative.
pub(in crate::data) fn read(
    file: &LabelFile,
    format: LabelFormat,
    mut report: Reporter,
) -> Result<LabelTable, Unread> {
    let sections = sections(&file.text, format)?;
    let is_list = sections.iter().all(|section| section.lines.is_empty());
    let mut rows = Vec::new();
    for Section { number, heading: Heading { path, size }, lines } in sections {
        let size = size.filter(|size| size.iter().all(|&length| length > 0.0));
        let row = |number, face| Row { size, ..Row::new(number, path.to_owned(), face) };
        if is_list {
            let reason = "the file has no boxes, so it only lists pictures".to_owned();
            report.lose_row("picture in a list without boxes", &file.path, number, reason);
            rows.push(row(number, Face::Unknown));
        } else if lines.is_empty() {
            rows.push(row(number, Face::None));
        }
        for (number, line) in lines {
            let (face, keypoints) = face(line, format).unwrap_or_else(|(face, reason)| {
                report.lose_row("box without size", &file.path, number, reason);
                (face, Keypoints::default())
            });
            rows.push(Row { keypoints, ..row(number, face) });
        }
    }
    let shape = if format == LabelFormat::Scrfd { BoxShape::Xyxy } else { BoxShape::Xywh };
    let given = rows.len() as u64;
    let source = (file.path.clone(), format, 1);
    Ok(table(source, (shape, Units::Pixels), rows, given, report))
}

fn sections(text: &str, format: LabelFormat) -> Result<Vec<Section<'_>>, Unread> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let heading = Heading::of(line);
        match (heading, sections.last_mut()) {
            (Some(heading), _) => sections.push(Section { number, heading, lines: Vec::new() }),
            (None, Some(section)) if !line.trim_start().starts_with('#') => {
                section.lines.push((number, line));
            }
            _ => {
                let line: String = line.trim().chars().take(80).collect();
                return Err(Unread::Damaged(format!(
                    "line {number} of a {format} is {line:?}; expected # and a picture's path, followed by one line \
                    per face"
                )));
            }
        }
    }
    Ok(sections)
}

/// Reads a face's line; if it cannot be used, returns what it counts as and why.
fn face(line: &str, format: LabelFormat) -> Result<(Face, Keypoints), (Face, String)> {
    let unknown = |reason: String| (Face::Unknown, reason);
    let numbers: Result<Vec<f32>, _> = line.split_whitespace().map(str::parse).collect();
    let line = line.trim();
    let numbers = numbers.map_err(|_| unknown(format!("{line:?} does not consist of numbers")))?;
    let is_scrfd = format == LabelFormat::Scrfd;
    let is_ignored = match numbers.len() {
        BOX | BOX_AND_LANDMARKS | BOX_LANDMARKS_AND_BLUR => false,
        BOX_AND_FLAG if is_scrfd => numbers[BOX] != 0.0,
        BOX_AND_ATTRIBUTES if !is_scrfd => numbers[INVALID] != 0.0,
        count => {
            let expected = "expected 4 for a box, or 19 for a box and five landmarks";
            return Err(unknown(format!("the line has {count} numbers; {expected}")));
        }
    };
    let corners = [numbers[0], numbers[1], numbers[2], numbers[3]];
    let [a, b, c, d] = corners;
    plausible([a, b]).and_then(|_| plausible([c, d])).map_err(unknown)?;
    let has_size = if is_scrfd { c > a && d > b } else { c > 0.0 && d > 0.0 };
    match (has_size, is_ignored) {
        (true, true) => Ok((Face::Ignored(corners), Keypoints::default())),
        (true, false) => {
            let landmarks = numbers.get(BOX..BOX_AND_LANDMARKS).unwrap_or_default();
            Ok((Face::At(corners), keypoints(landmarks)))
        }
        (false, _) => {
            // WIDER FACE has a few such boxes, all of invalid faces.
            let counts_as = if is_ignored { Face::Other } else { Face::Unknown };
            Err((counts_as, format!("the box {a},{b},{c},{d} has no width or height")))
        }
    }
}

/// Converts the landmarks to keypoints. A flag of 0 means visible, 1 covered, and −1 unlabelled.
fn keypoints(landmarks: &[f32]) -> Keypoints {
    let point = |index: usize| {
        let &[x, y, flag] = landmarks.get(index * 3..index * 3 + 3)? else { return None };
        let is_labelled = flag >= 0.0 && [x, y] != [-1.0; 2];
        plausible([x, y]).ok().filter(|_| is_labelled)
    };
    from_landmarks([point(0), point(1), point(2), point(3), point(4)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<LabelTable, Unread> {
        let file = LabelFile { path: "train/label.txt".to_owned(), text: text.to_owned() };
        read(&file, retinaface_format(text).unwrap(), Reporter::default())
    }

    fn faces(table: &LabelTable) -> Vec<(u64, &str, Face)> {
        table.rows.iter().map(|row| (row.number, row.image_path.as_str(), row.face)).collect()
    }

    #[test]
    fn retinafaces_boxes_landmarks_attributes_and_negatives_are_read() {
        let text = "# 0--Parade/a b.jpg\n\
            10 20 30 40 15 25 0.0 35 26 0.0 25 40 1.0 18 50 0.0 32 52 0.0 0.82\n\
            1 2 7 8 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 0.2\n\
            # n.jpg\n# 0--Parade/c.jpg\n5 6 7 8 2 0 0 1 0 0\n5 6 0 8 2 0 0 1 0 0\n5 6 7 8 2 0 0 0 0 0\n";
        assert_eq!(retinaface_format(text), Some(LabelFormat::RetinaFace));
        let table = parsed(text).unwrap();
        let (a, c, small) = ("0--Parade/a b.jpg", "0--Parade/c.jpg", [5.0, 6.0, 7.0, 8.0]);
        assert_eq!(
            faces(&table),
            [
                (2, a, Face::At([10.0, 20.0, 30.0, 40.0])),
                (3, a, Face::At([1.0, 2.0, 7.0, 8.0])),
                (4, "n.jpg", Face::None),
                (6, c, Face::Ignored(small)),
                (7, c, Face::Other),
                (8, c, Face::At(small)),
            ]
        );
        assert_eq!(table.shape, BoxShape::Xywh);
        let [right_eye, left_eye, nose, mouth, ..] = table.rows[0].keypoints;
        assert_eq!((right_eye, left_eye), (Some([15.0, 25.0]), Some([35.0, 26.0])));
        assert_eq!((nose, mouth), (Some([25.0, 40.0]), Some([25.0, 51.0])));
        assert_eq!(table.rows[1].keypoints, Keypoints::default());
    }

    #[test]
    fn scrfds_corners_sizes_and_flags_are_read() {
        let text = "# p/a.jpg 1024 768\n10 20 30 40 15 25 0.0 -1 -1 -1 25 40 1 18 50 0 32 52 0\n\
            1 2 7 8 1\n1 2 7 9 0\n# p/n.jpg 64 48\n";
        assert_eq!(retinaface_format(text), Some(LabelFormat::Scrfd));
        let table = parsed(text).unwrap();
        let rows = faces(&table);
        assert_eq!(rows[0], (2, "p/a.jpg", Face::At([10.0, 20.0, 30.0, 40.0])));
        assert_eq!(rows[1].2, Face::Ignored([1.0, 2.0, 7.0, 8.0]));
        assert_eq!(rows[2].2, Face::At([1.0, 2.0, 7.0, 9.0]));
        assert_eq!(rows[3], (5, "p/n.jpg", Face::None));
        assert_eq!((table.shape, table.rows[0].size), (BoxShape::Xyxy, Some([1024.0, 768.0])));
        assert_eq!(table.rows[0].keypoints[..2], [Some([15.0, 25.0]), None]);
    }

    #[test]
    fn a_list_of_pictures_marks_no_negatives() {
        let table = parsed("# a.jpg\n# b.jpg\n").unwrap();
        assert!(table.rows.iter().all(|row| row.face == Face::Unknown));
        assert_eq!(table.report.told.rows.left_out["picture in a list without boxes"], 2);
    }

    #[test]
    fn bad_lines_are_reported_and_bad_headings_refused_with_their_lines() {
        let text = "# a.jpg\n1 2 3 4\n1 2 3\n1 2 x 4\n1 2 0 4\n1 NaN 3 4\n1 2 1e30 4\n";
        let table = parsed(text).unwrap();
        let told: Vec<_> = table.report.told.problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "train/label.txt, row 3: the line has 3 numbers; expected 4 for a box, or 19 for a box and five landmarks",
                "train/label.txt, row 4: \"1 2 x 4\" does not consist of numbers",
                "train/label.txt, row 5: the box 1,2,0,4 has no width or height",
                "train/label.txt, row 6: the coordinate NaN cannot be in a picture",
                "train/label.txt, row 7: the coordinate 1e30 cannot be in a picture",
            ]
        );
        let error = parsed("# a.jpg\n1 2 3 4\n# b\n").unwrap_err();
        assert_eq!(
            error,
            Unread::Damaged(
                "line 3 of a RetinaFace text is \"# b\"; expected # and a picture's path, followed by one line per face"
                    .to_owned()
            )
        );
    }

    #[test]
    fn other_texts_are_not_mistaken_for_labels() {
        for text in
            ["# Faces\n1 2 3 4\n", "# a.jpg\n1 was drawn by Ann\n", "a.jpg\n1\n1 2 3 4\n", ""]
        {
            assert_eq!(retinaface_format(text), None, "{text}");
        }
    }
}
