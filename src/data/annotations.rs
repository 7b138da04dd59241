//! The annotation format: `image_path,x1,y1,w,h`, a row per face, with keypoints and difficulty if known.

use super::manifest::Difficulty;
use super::report::ImportReport;
use crate::geometry::Keypoints;

/// A row that can be used.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// Its line in the file, the header being row 1.
    pub(super) number: u64,
    /// The picture's path as the table has it.
    pub(super) image_path: String,
    pub(super) face: Face,
    /// Keypoints, in pixels.
    pub(super) keypoints: Keypoints,
    pub(super) difficulty: Option<Difficulty>,
}

/// What a row says about its picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Face {
    /// There is one: x and y of its top-left corner, width, height, in pixels.
    At([f32; 4]),
    /// There is none.
    None,
    /// There may be one, but the row is bad, as reported.
    Unknown,
}

/// Columns that a table may have beside those: `right_eye_x`, `right_eye_y` and so on, in pixels.
const KEYPOINTS: [&str; 6] = ["right_eye", "left_eye", "nose", "mouth", "right_ear", "left_ear"];

/// A column that a table may have: which of WIDER FACE's lists a face is in.
const DIFFICULTY: &str = "difficulty";

/// The columns that make a CSV file annotations.
pub(super) const COLUMNS: [&str; 5] = ["image_path", "x1", "y1", "w", "h"];

/// Reads a CSV file; `None` when it lacks a column that annotations have.
pub(super) fn parse(file: &str, bytes: &[u8], report: &mut ImportReport) -> Option<Vec<Row>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let delimiter = delimiter(bytes);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .trim(csv::Trim::All)
        .flexible(true)
        .from_reader(bytes);
    let headers = reader.byte_headers().ok()?.clone();
    let names: Vec<String> =
        headers.iter().map(|name| String::from_utf8_lossy(name).to_lowercase()).collect();
    let mut columns = [0; 5];
    for (column, wanted) in columns.iter_mut().zip(COLUMNS) {
        *column = names.iter().position(|name| name == wanted)?;
    }
    let position = |wanted: String| names.iter().position(|name| *name == wanted);
    let points = KEYPOINTS
        .map(|name| Some([position(format!("{name}_x"))?, position(format!("{name}_y"))?]));
    let difficulties = position(DIFFICULTY.to_owned());
    let mut rows = Vec::new();
    for record in reader.byte_records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let number = error.position().map(|position| line(position, bytes));
                report.add("unreadable row", file, number, format!("is not CSV: {error}"));
                continue;
            }
        };
        let number = record.position().map_or(0, |position| line(position, bytes));
        let mut bad = |(kind, reason): Bad| report.add(kind, file, Some(number), reason);
        match image_path(&record, columns[0]) {
            Err(problem) => bad(problem),
            Ok(image_path) => {
                let face = face(&record, &columns, delimiter).unwrap_or_else(|problem| {
                    bad(problem);
                    Face::Unknown
                });
                let keypoints = keypoints(&record, &points, delimiter).unwrap_or_else(|problem| {
                    bad(problem);
                    Keypoints::default()
                });
                let difficulty = difficulty(&record, difficulties).unwrap_or_else(|problem| {
                    bad(problem);
                    None
                });
                rows.push(Row { number, image_path, face, keypoints, difficulty });
            }
        }
    }
    Some(rows)
}

/// Where a row begins, from 1; its position is still before the ends of the lines before it.
fn line(position: &csv::Position, bytes: &[u8]) -> u64 {
    let rest = bytes.get(position.byte() as usize..).unwrap_or_default();
    let ends = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    position.line() + ends.filter(|&&byte| byte == b'\n').count() as u64
}

/// The kind that a bad row is counted under, and what is wrong with it.
type Bad = (&'static str, String);

/// The commonest separator of the header.
fn delimiter(bytes: &[u8]) -> u8 {
    let header = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let count = |separator: u8| header.split(|&byte| byte == separator).count();
    [b',', b';', b'\t'].into_iter().rev().max_by_key(|&separator| count(separator)).unwrap_or(b',')
}

fn image_path(record: &csv::ByteRecord, column: usize) -> Result<String, Bad> {
    match std::str::from_utf8(record.get(column).unwrap_or_default()) {
        Err(_) => Err(("unreadable row", "image_path is not UTF-8".to_owned())),
        Ok("") => Err(("row without a picture", "image_path is empty".to_owned())),
        Ok(path) => Ok(path.to_owned()),
    }
}

fn face(record: &csv::ByteRecord, columns: &[usize; 5], delimiter: u8) -> Result<Face, Bad> {
    let texts: [_; 4] = std::array::from_fn(|index| {
        String::from_utf8_lossy(record.get(columns[index + 1]).unwrap_or_default())
    });
    if texts.iter().all(|text| text.is_empty()) {
        return Ok(Face::None);
    }
    let mut face = [0.0; 4];
    for (index, (value, text)) in face.iter_mut().zip(&texts).enumerate() {
        *value = number(text, COLUMNS[index + 1], delimiter)?;
    }
    let [_, _, width, height] = face;
    if width <= 0.0 || height <= 0.0 {
        let reason = format!("the box is {width} × {height} pixels; both must be above 0");
        return Err(("box without size", reason));
    }
    Ok(Face::At(face))
}

fn number(text: &str, column: &str, delimiter: u8) -> Result<f32, Bad> {
    // With semicolons as separators, numbers may have decimal commas.
    let number: Result<f32, _> =
        if delimiter == b',' { text.parse() } else { text.replace(',', ".").parse() };
    let bad = || ("not a number", format!("{column} is {text:?}, not a number"));
    number.ok().filter(|number| number.is_finite()).ok_or_else(bad)
}

/// The keypoints that have both numbers; `columns` says where they stand.
fn keypoints(
    record: &csv::ByteRecord,
    columns: &[Option<[usize; 2]>; 6],
    delimiter: u8,
) -> Result<Keypoints, Bad> {
    let mut keypoints = Keypoints::default();
    for ((keypoint, name), columns) in keypoints.iter_mut().zip(KEYPOINTS).zip(columns) {
        let Some(columns) = columns else { continue };
        let texts =
            columns.map(|column| String::from_utf8_lossy(record.get(column).unwrap_or_default()));
        if texts.iter().all(|text| text.is_empty()) {
            continue;
        }
        let x = number(&texts[0], &format!("{name}_x"), delimiter)?;
        *keypoint = Some([x, number(&texts[1], &format!("{name}_y"), delimiter)?]);
    }
    Ok(keypoints)
}

fn difficulty(record: &csv::ByteRecord, column: Option<usize>) -> Result<Option<Difficulty>, Bad> {
    let bytes = column.and_then(|column| record.get(column)).unwrap_or_default();
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    Ok(match text.as_str() {
        "" => None,
        "easy" => Some(Difficulty::Easy),
        "medium" => Some(Difficulty::Medium),
        "hard" => Some(Difficulty::Hard),
        _ => {
            let reason = format!("{DIFFICULTY} is {text:?}; it may be easy, medium, hard or empty");
            return Err(("unknown difficulty", reason));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name_whatever_the_order_and_separator() {
        let text = b"\xef\xbb\xbfW; H;extra;Image_Path ;X1;Y1\r\n3;4;9;a.jpg;1,5;2.5\r\n";
        let mut report = ImportReport::default();
        let rows = parse("a.csv", text, &mut report).unwrap();
        let face = Face::At([1.5, 2.5, 3.0, 4.0]);
        let keypoints = Keypoints::default();
        let row = Row { number: 2, image_path: "a.jpg".into(), face, keypoints, difficulty: None };
        assert_eq!(rows, [row]);
        assert_eq!(report, ImportReport::default());
    }

    #[test]
    fn keypoints_are_read_where_they_are_and_a_bad_one_leaves_the_face() {
        let text = b"image_path,x1,y1,w,h,nose_x,nose_y,left_eye_y,left_eye_x\n\
            a.jpg,1,2,3,4,5,6,8,7\na.jpg,1,2,3,4,,,,\na.jpg,1,2,3,4,5,six,,\n";
        let mut report = ImportReport::default();
        let rows = parse("a.csv", text, &mut report).unwrap();
        let none = Keypoints::default();
        let first = [None, Some([7.0, 8.0]), Some([5.0, 6.0]), None, None, None];
        let found: Vec<_> = rows.iter().map(|row| row.keypoints).collect();
        assert_eq!(found, [first, none, none]);
        assert!(rows.iter().all(|row| row.face == Face::At([1.0, 2.0, 3.0, 4.0])));
        let problems: Vec<_> =
            report.problems.iter().map(|found| (found.row, found.reason.as_str())).collect();
        assert_eq!(problems, [(Some(4), "nose_y is \"six\", not a number")]);
    }

    #[test]
    fn an_unknown_difficulty_is_reported_and_the_face_is_kept() {
        let text = b"image_path,x1,y1,w,h,difficulty\na.jpg,1,2,3,4,Easy\na.jpg,1,2,3,4,hard\n\
            a.jpg,1,2,3,4,\na.jpg,1,2,3,4,so-so\n";
        let mut report = ImportReport::default();
        let rows = parse("a.csv", text, &mut report).unwrap();
        let found: Vec<_> = rows.iter().map(|row| row.difficulty).collect();
        assert_eq!(found, [Some(Difficulty::Easy), Some(Difficulty::Hard), None, None]);
        assert_eq!(
            report.problems[0].reason,
            "difficulty is \"so-so\"; it may be easy, medium, hard or empty"
        );
        assert!(rows.iter().all(|row| matches!(row.face, Face::At(_))));
    }

    #[test]
    fn bad_rows_are_reported_by_number_and_reason() {
        let text = b"image_path,x1,y1,w,h\na.jpg,1,2,x,4\n,1,2,3,4\na.jpg,1,2,0,4\n\
            a.jpg,nan,2,3,4\nb.jpg,,,,\na.jpg,1\n\xff.jpg,1,2,3,4\n\"a\nb.jpg\",1,2,-3,4\n";
        let mut report = ImportReport::default();
        let rows = parse("a.csv", text, &mut report).unwrap();
        let numbers: Vec<_> = report.problems.iter().map(|problem| problem.row.unwrap()).collect();
        assert_eq!(numbers, [2, 3, 4, 5, 7, 8, 9]);
        assert_eq!(report.problems[0].reason, "w is \"x\", not a number");
        let counts: Vec<_> = report.counts.iter().map(|(kind, n)| (kind.as_str(), *n)).collect();
        let expected = [
            ("box without size", 2),
            ("not a number", 3),
            ("row without a picture", 1),
            ("unreadable row", 1),
        ];
        assert_eq!(counts, expected);
        let without: Vec<_> = rows.iter().filter(|row| row.face == Face::None).collect();
        assert!(matches!(without[..], [Row { number: 6, .. }]), "{without:?}");
        assert!(rows.iter().all(|row| !matches!(row.face, Face::At(_))));
    }

    #[test]
    fn rows_are_numbered_by_line_whatever_ends_them() {
        for end in ["\n", "\r\n"] {
            let text = ["image_path,x1,y1,w,h", "a.jpg,,,,", "", "", "b.jpg,,,,", ""].join(end);
            let rows = parse("a.csv", text.as_bytes(), &mut ImportReport::default()).unwrap();
            let numbers: Vec<_> = rows.iter().map(|row| row.number).collect();
            assert_eq!(numbers, [2, 5], "{end:?}");
        }
    }

    #[test]
    fn a_table_of_something_else_is_no_annotations() {
        let text = b"image_path,orig_w,w,h\na.jpg,1,2,3\n";
        assert_eq!(parse("images.csv", text, &mut ImportReport::default()), None);
        assert_eq!(parse("empty.csv", b"", &mut ImportReport::default()), None);
        assert_eq!(
            parse("picture.csv", b"\xff\xd8\xff\xe0\0\x10", &mut ImportReport::default()),
            None
        );
    }
}
