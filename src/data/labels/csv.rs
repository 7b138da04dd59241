//! CSV tables: one row per face, with columns found by name.

use csv::{ReaderBuilder, StringRecord, Trim};

use super::categories::keep_faces;
use super::columns::{Columns, KEYPOINTS};
use super::format::{LabelFile, LabelFormat, Unread};
use super::units::units;
use super::{Face, LabelOptions, LabelTable, Row};
use crate::data::extensions::is_picture;
use crate::data::manifest::Difficulty;
use crate::data::reporter::Reporter;
use crate::geometry::Keypoints;

/// Reads a table of labels.
pub(in crate::data) fn read(
    file: &LabelFile,
    options: &LabelOptions,
    report: Reporter,
) -> Result<LabelTable, Unread> {
    let path = file.path.as_str();
    let (delimiter, text, skipped) = delimiter(&file.text);
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .trim(Trim::All)
        .flexible(true)
        .from_reader(text.as_bytes());
    let first_line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    let not_labels = || {
        let is_data = first_line
            .split([',', ';', '\t'])
            .any(|field| is_picture(field.trim_matches(['"', ' '])));
        let line = shortened(first_line);
        if is_data { Unread::NoHeader(line) } else { Unread::NotLabels(line) }
    };
    let header: Vec<String> =
        reader.headers().map_err(|_| not_labels())?.iter().map(str::to_owned).collect();
    let columns = Columns::find(&header).ok_or_else(not_labels)?;
    let mut reading = Reading {
        path,
        names: columns.numbers.map(|column| header[column].clone()),
        shape: options.boxes.unwrap_or(columns.shape),
        columns,
        has_decimal_commas: delimiter != b',',
        report,
    };
    let mut rows = Vec::new();
    let (mut given, mut nameless) = (0, 0);
    for record in reader.into_records() {
        given += 1;
        match record {
            Ok(record) => {
                let number = record.position().map_or(0, |at| line(at, text)) + skipped;
                match reading.row(&record, number) {
                    Some(row) => rows.push(row),
                    None => nameless += 1,
                }
            }
            Err(error) => {
                let number = error.position().map_or(0, |at| line(at, text) + skipped);
                reading.report.lose_row(
                    "unreadable row",
                    path,
                    number,
                    format!("is not CSV: {error}"),
                );
                nameless += 1;
            }
        }
    }
    keep_faces(&mut rows, options, path, &mut reading.report)?;
    let units = units(&rows, options, &reading.names)?;
    Ok(LabelTable {
        path: path.to_owned(),
        format: LabelFormat::Csv,
        files: 1,
        header: shortened(first_line),
        shape: reading.shape,
        is_shape_stated: options.boxes.is_some(),
        units,
        rows,
        nameless,
        given,
        report: reading.report,
    })
}

/// Returns the separator, the text after a leading `sep=;` line, and the number of lines skipped.
fn delimiter(text: &str) -> (u8, &str, u64) {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let stated = first.trim().trim_matches('"').to_lowercase();
    if let Some(separator) = stated.strip_prefix("sep=") {
        return (separator.bytes().next().unwrap_or(b'\t'), rest, 1);
    }
    let count = |separator: u8| first.bytes().filter(|&byte| byte == separator).count();
    let commonest = *b"\t;,|".iter().max_by_key(|&&separator| count(separator)).unwrap_or(&b',');
    (if count(commonest) == 0 { b',' } else { commonest }, text, 0)
}

/// Returns the line at which a record begins, from 1. `position` is before any line ends that precede the record.
fn line(position: &csv::Position, text: &str) -> u64 {
    let rest = text.as_bytes().get(position.byte() as usize..).unwrap_or_default();
    let ends = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    position.line() + ends.filter(|&&byte| byte == b'\n').count() as u64
}

/// Messages quote at most this many characters of a line.
const LONGEST_QUOTE: usize = 120;

fn shortened(line: &str) -> String {
    let mut short: String = line.chars().take(LONGEST_QUOTE).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    short
}

/// The kind of a bad row's problem, and what is wrong with the row.
type Bad = (&'static str, String);

/// A reader of one table's rows.
struct Reading<'a> {
    path: &'a str,
    columns: Columns,
    /// The names of the columns with a box's four numbers.
    names: [String; 4],
    shape: super::BoxShape,
    has_decimal_commas: bool,
    report: Reporter,
}

impl Reading<'_> {
    /// Reads a row; `None` if it names no picture.
    fn row(&mut self, record: &StringRecord, number: u64) -> Option<Row> {
        let image_path = record.get(self.columns.image_path).unwrap_or_default();
        if image_path.is_empty() {
            let reason = "the picture's name is empty".to_owned();
            self.report.lose_row("row without a picture", self.path, number, reason);
            return None;
        }
        let face = self.face(record).unwrap_or_else(|(kind, reason)| {
            self.report.lose_row(kind, self.path, number, reason);
            Face::Unknown
        });
        let keypoints = self.keypoints(record).unwrap_or_else(|(kind, reason)| {
            let reason = format!("{reason}; the face is kept without keypoints");
            self.report.add(kind, self.path, Some(number), reason);
            Keypoints::default()
        });
        let difficulty = self.difficulty(record).unwrap_or_else(|(kind, reason)| {
            self.report.add(kind, self.path, Some(number), reason);
            None
        });
        let size = self.size(record);
        let category = self.category(record);
        let row = Row::new(number, image_path.to_owned(), face);
        Some(Row { category, size, keypoints, difficulty, ..row })
    }

    fn category(&self, record: &StringRecord) -> String {
        let column = self.columns.category.and_then(|column| record.get(column));
        column.unwrap_or_default().to_owned()
    }

    fn face(&self, record: &StringRecord) -> Result<Face, Bad> {
        let texts = self.columns.numbers.map(|column| record.get(column).unwrap_or_default());
        if texts.iter().all(|text| is_empty(text)) {
            return Ok(Face::None);
        }
        let mut numbers = [0.0; 4];
        for ((value, text), name) in numbers.iter_mut().zip(texts).zip(&self.names) {
            *value = self.number(text, name)?;
        }
        if numbers == [0.0; 4] {
            return Ok(Face::Zeros);
        }
        let [_, _, width, height] = self.shape.to_xywh(numbers);
        if width <= 0.0 || height <= 0.0 {
            let names = self.names.join(",");
            let [a, b, c, d] = numbers;
            let reason = format!("{names} = {a},{b},{c},{d} is a box without a width or a height");
            return Err(("box without size", reason));
        }
        let ignored = self.columns.ignored.and_then(|column| record.get(column));
        let is_ignored =
            ignored.is_some_and(|text| text == "1" || text.eq_ignore_ascii_case("true"));
        Ok(if is_ignored { Face::Ignored(numbers) } else { Face::At(numbers) })
    }

    fn number(&self, text: &str, column: &str) -> Result<f32, Bad> {
        let with_point = text.replace(',', ".");
        let is_decimal_comma = self.has_decimal_commas || text.matches(',').count() == 1;
        let number = if is_decimal_comma { &with_point } else { text }.parse::<f32>();
        let bad = || ("not a number", format!("{column} is {text:?}, not a number"));
        number.ok().filter(|number| number.is_finite()).ok_or_else(bad)
    }

    /// Reads the keypoints. Tools leave an unlabelled one empty, or write −1 or 0,0.
    fn keypoints(&self, record: &StringRecord) -> Result<Keypoints, Bad> {
        let mut keypoints = Keypoints::default();
        let named = KEYPOINTS.into_iter().zip(self.columns.keypoints);
        for (keypoint, (name, columns)) in keypoints.iter_mut().zip(named) {
            let Some(columns) = columns else { continue };
            let [x, y] = columns.map(|column| record.get(column).unwrap_or_default());
            if is_empty(x) && is_empty(y) {
                continue;
            }
            let point =
                [self.number(x, &format!("{name}_x"))?, self.number(y, &format!("{name}_y"))?];
            let is_unlabelled = point == [0.0; 2] || point.contains(&-1.0);
            *keypoint = (!is_unlabelled).then_some(point);
        }
        Ok(keypoints)
    }

    fn size(&self, record: &StringRecord) -> Option<[f32; 2]> {
        let [width, height] = self.columns.size?.map(|column| {
            self.number(record.get(column).unwrap_or_default(), "").unwrap_or_default()
        });
        (width > 0.0 && height > 0.0).then_some([width, height])
    }

    fn difficulty(&self, record: &StringRecord) -> Result<Option<Difficulty>, Bad> {
        let column = self.columns.difficulty.and_then(|column| record.get(column));
        let text = column.unwrap_or_default().to_lowercase();
        Ok(match text.as_str() {
            "" => None,
            "easy" => Some(Difficulty::Easy),
            "medium" => Some(Difficulty::Medium),
            "hard" => Some(Difficulty::Hard),
            _ => {
                let reason =
                    format!("difficulty is {text:?}; it must be easy, medium, hard or empty");
                return Err(("unknown difficulty", reason));
            }
        })
    }
}

/// Whether a field is empty, or holds what pandas and others write for an empty field.
fn is_empty(text: &str) -> bool {
    matches!(text.to_lowercase().as_str(), "" | "nan" | "na" | "n/a" | "none" | "null" | "-")
}

#[cfg(test)]
mod tests {
    use super::super::BoxShape;
    use super::*;
    use crate::data::labels::csv_table;
    use crate::data::report::ImportReport;

    fn parsed(text: &[u8]) -> LabelTable {
        csv_table(text, &LabelOptions::default()).unwrap()
    }

    #[test]
    fn columns_are_found_by_name_in_any_order_and_with_any_separator() {
        let table = parsed(b"\xef\xbb\xbfW; H;extra;Image_Path ;X1;Y1\r\n3;4;9;a.jpg;1,5;2.5\r\n");
        assert_eq!(table.rows.len(), 1);
        let row = &table.rows[0];
        assert_eq!((row.number, row.image_path.as_str()), (2, "a.jpg"));
        assert_eq!(row.face, Face::At([1.5, 2.5, 3.0, 4.0]));
        assert_eq!(table.report.told, ImportReport::default());
    }

    #[test]
    fn a_line_that_names_the_separator_is_not_the_header() {
        let table = parsed(b"sep=;\nimage_path;x1;y1;w;h\na.jpg;1,5;2;3;x\na.jpg;1,5;2;3;4\n");
        assert_eq!(table.rows[1].face, Face::At([1.5, 2.0, 3.0, 4.0]));
        assert_eq!(table.report.told.problems[0].row, Some(3), "the file's lines are counted");
    }

    #[test]
    fn keypoints_are_read_if_present_and_a_bad_one_does_not_lose_the_face() {
        let table = parsed(
            b"image_path,x1,y1,w,h,nose_x,nose_y,left_eye_y,left_eye_x\n\
            a.jpg,1,2,3,4,5,6,8,7\na.jpg,1,2,3,4,,,,\na.jpg,1,2,3,4,5,six,,\n\
            a.jpg,1,2,3,4,-1,-1.0,0,0\na.jpg,1,2,3,4,nan,NaN,,\n",
        );
        let none = Keypoints::default();
        let first = [None, Some([7.0, 8.0]), Some([5.0, 6.0]), None, None, None];
        let found: Vec<_> = table.rows.iter().map(|row| row.keypoints).collect();
        assert_eq!(found, [first, none, none, none, none]);
        assert!(table.rows.iter().all(|row| row.face == Face::At([1.0, 2.0, 3.0, 4.0])));
        let problems: Vec<_> = table.report.told.problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            ["a.csv, row 4: nose_y is \"six\", not a number; the face is kept without keypoints"]
        );
    }

    #[test]
    fn an_unknown_difficulty_is_reported_and_the_face_is_kept() {
        let table = parsed(
            b"image_path,x1,y1,w,h,difficulty\na.jpg,1,2,3,4,Easy\na.jpg,1,2,3,4,hard\n\
            a.jpg,1,2,3,4,\na.jpg,1,2,3,4,so-so\n",
        );
        let found: Vec<_> = table.rows.iter().map(|row| row.difficulty).collect();
        assert_eq!(found, [Some(Difficulty::Easy), Some(Difficulty::Hard), None, None]);
        assert_eq!(
            table.report.told.problems[0].reason,
            "difficulty is \"so-so\"; it must be easy, medium, hard or empty"
        );
    }

    #[test]
    fn a_place_can_be_ignored() {
        let text = b"image_path,x1,y1,w,h,Ignored\na,1,2,3,4,1\na,1,2,3,4,True\na,1,2,3,4,\n";
        let faces: Vec<_> = parsed(text).rows.iter().map(|row| row.face).collect();
        let [ignored, face] = [Face::Ignored, Face::At].map(|of| of([1.0, 2.0, 3.0, 4.0]));
        assert_eq!(faces, [ignored, ignored, face]);
    }

    #[test]
    fn bad_rows_are_reported_by_number_and_reason() {
        let table = parsed(
            b"image_path,x1,y1,w,h\na.jpg,1,2,x,4\n,1,2,3,4\na.jpg,1,2,0,4\n\
            a.jpg,nan,2,3,4\nb.jpg,,,,\na.jpg,1\n\"a\nb.jpg\",1,2,-3,4\nc.jpg,NaN,nan,,\n",
        );
        let numbers: Vec<_> = table.report.told.problems.iter().map(|p| p.row.unwrap()).collect();
        assert_eq!(numbers, [2, 3, 4, 5, 7, 8]);
        assert_eq!(table.report.told.problems[0].reason, "w is \"x\", not a number");
        let reason = &table.report.told.problems[2].reason;
        assert_eq!(reason, "x1,y1,w,h = 1,2,0,4 is a box without a width or a height");
        assert_eq!((table.given, table.nameless), (8, 1));
        let faces: Vec<_> = table.rows.iter().map(|row| row.face).collect();
        assert_eq!(faces.iter().filter(|face| **face == Face::None).count(), 2, "b.jpg and c.jpg");
    }

    #[test]
    fn other_tables_are_distinguished_from_tables_without_a_header() {
        let options = LabelOptions::default();
        let error = csv_table(b"image_path,x1,y1,w\na.jpg,1,2,3\n", &options).unwrap_err();
        assert_eq!(error, Unread::NotLabels("image_path,x1,y1,w".to_owned()));
        for line in ["images/a.jpg,1,2,3,4", "face;1;2;3;4;\"a.JPG\";640;480"] {
            let error = csv_table(format!("{line}\n").as_bytes(), &options).unwrap_err();
            assert_eq!(error, Unread::NoHeader(line.to_owned()));
        }
    }

    #[test]
    fn the_box_shape_that_the_user_states_overrides_the_column_names() {
        let options = LabelOptions { boxes: Some(BoxShape::Xyxy), ..LabelOptions::default() };
        let table = csv_table(b"image_path,x1,y1,w,h\na.jpg,5,5,9,9\na.jpg,9,9,5,5\n", &options);
        let table = table.unwrap();
        assert_eq!((table.shape, table.is_shape_stated), (BoxShape::Xyxy, true));
        let faces: Vec<_> = table.rows.iter().map(|row| row.face).collect();
        assert_eq!(faces, [Face::At([5.0, 5.0, 9.0, 9.0]), Face::Unknown]);
    }
}
