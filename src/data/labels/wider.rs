//! WIDER FACE text: a picture's path, the number of its faces, and one line per face: left, top, width and height in
//! pixels, then blur, expression, illumination, invalid, occlusion and pose.
//!
//! Source: `readme.txt` of WIDER FACE's annotations.

use super::format::{LabelFile, LabelFormat, Unread, table};
use super::{BoxShape, Face, LabelTable, Row, Units};
use crate::data::extensions::is_picture;
use crate::data::reporter::Reporter;

/// Index of the flag for an invalid face, which is too unclear to count.
const INVALID: usize = 7;

/// Whether a text begins with a picture's path and a number.
pub(super) fn is_wider(text: &str) -> bool {
    let mut lines = text.lines();
    let (first, second) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    is_picture(first.trim()) && second.trim().parse::<u32>().is_ok()
}

/// Reads a WIDER FACE file.
pub(in crate::data) fn read(file: &LabelFile, mut report: Reporter) -> Result<LabelTable, Unread> {
    let mut lines = (1_u64..).zip(file.text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let (mut rows, mut given) = (Vec::new(), 0);
    while let Some((number, path)) = lines.next() {
        let path = path.trim();
        let count = lines.next().and_then(|(_, line)| line.trim().parse::<u32>().ok());
        let Some(count) = count.filter(|_| is_picture(path)) else {
            let text = format!(
                "line {number} of a WIDER FACE text is {path:?}; expected a picture's path, followed on the next line \
                by the number of its faces"
            );
            return Err(Unread::Damaged(text));
        };
        // A picture without faces still has one line, of zeros.
        for _ in 0..count.max(1) {
            let Some((number, line)) = lines.next() else { break };
            given += 1;
            let face = face(line).unwrap_or_else(|(face, kind, reason)| {
                report.lose_row(kind, &file.path, number, reason);
                face
            });
            rows.push(Row::new(number, path.to_owned(), face));
        }
    }
    let source = (file.path.clone(), LabelFormat::Wider, 1);
    Ok(table(source, (BoxShape::Xywh, Units::Pixels), rows, given, report))
}

/// Reads a face's line. If it cannot be used, returns what it counts as, the kind of problem, and what is wrong.
fn face(line: &str) -> Result<Face, (Face, &'static str, String)> {
    let unreadable = |reason: String| (Face::Unknown, "unreadable row", reason);
    let numbers: Result<Vec<f32>, _> = line.split_whitespace().map(str::parse).collect();
    let numbers =
        numbers.map_err(|_| unreadable(format!("{line:?} does not consist of numbers")))?;
    let Some(&[x, y, w, h]) = numbers.first_chunk::<4>() else {
        return Err(unreadable(format!("{line:?} has fewer than four numbers")));
    };
    if [x, y, w, h] == [0.0; 4] {
        return Ok(Face::Zeros);
    }
    let is_invalid = numbers.get(INVALID).is_some_and(|&flag| flag != 0.0);
    let reason = || format!("the box {x},{y},{w},{h} has no width or height");
    match (w > 0.0 && h > 0.0, is_invalid) {
        (true, true) => Ok(Face::Ignored([x, y, w, h])),
        (true, false) => Ok(Face::At([x, y, w, h])),
        // The original data set has a few such boxes, all flagged as invalid.
        (false, true) => Err((Face::Other, "box without size", reason())),
        (false, false) => Err(unreadable(reason())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faces_negatives_and_invalid_faces_are_read() {
        let text = "a/x.jpg\n2\n1 2 3 4 0 0 0 0 0 0 \n5 6 7 8 2 0 0 1 0 0\nb.jpg\n0\n0 0 0 0 0 0 0 0 0 0\nc.jpg\n1\n1 2 3\n";
        assert!(is_wider(text));
        let file = LabelFile { path: "gt.txt".to_owned(), text: text.to_owned() };
        let table = read(&file, Reporter::default()).unwrap();
        let rows: Vec<_> = table.rows.iter().map(|row| (row.number, row.face)).collect();
        assert_eq!(
            rows,
            [
                (3, Face::At([1.0, 2.0, 3.0, 4.0])),
                (4, Face::Ignored([5.0, 6.0, 7.0, 8.0])),
                (7, Face::Zeros),
                (10, Face::Unknown)
            ]
        );
        assert_eq!(
            table.report.told.problems[0].to_string(),
            "gt.txt, row 10: \"1 2 3\" has fewer than four numbers"
        );
    }

    #[test]
    fn an_invalid_face_without_a_size_is_counted_as_left_out() {
        let text = "a.jpg\n1\n1 2 0 4 0 0 0 1 0 0\n".to_owned();
        let file = LabelFile { path: "gt.txt".to_owned(), text };
        let table = read(&file, Reporter::default()).unwrap();
        assert_eq!(table.rows[0].face, Face::Other);
        assert_eq!(table.report.told.rows.left_out["box without size"], 1);
    }

    #[test]
    fn a_wrong_count_is_reported_with_its_line() {
        let text = "a.jpg\n1\n1 2 3 4\n5 6 7 8\n";
        let file = LabelFile { path: "gt.txt".to_owned(), text: text.to_owned() };
        let Err(Unread::Damaged(error)) = read(&file, Reporter::default()) else { panic!("read") };
        assert!(error.starts_with("line 4 of a WIDER FACE text is \"5 6 7 8\""), "{error}");
    }
}
