//! The annotation format: `image_path,x1,y1,w,h`, a row a face.

use super::report::Report;

/// One usable row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// In the file, the header being row 1.
    pub(super) number: u64,
    /// As written.
    pub(super) image_path: String,
    /// x and y of the top-left corner, width, height, in pixels; `None` says there is no face.
    pub(super) face: Option<[f32; 4]>,
}

/// The columns that make a CSV file annotations.
pub(super) const COLUMNS: [&str; 5] = ["image_path", "x1", "y1", "w", "h"];

/// Reads a CSV file; `None` when it lacks a column that annotations have.
pub(super) fn parse(file: &str, bytes: &[u8], report: &mut Report) -> Option<Vec<Row>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(bytes))
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
    let mut rows = Vec::new();
    for record in reader.byte_records() {
        match record {
            Ok(record) => {
                let number = record.position().map_or(0, csv::Position::line);
                match row(&record, &columns, number) {
                    Ok(row) => rows.push(row),
                    Err(reason) => report.add("bad row", file, Some(number), reason),
                }
            }
            Err(error) => {
                let number = error.position().map(csv::Position::line);
                report.add("bad row", file, number, format!("not readable as CSV: {error}"));
            }
        }
    }
    Some(rows)
}

/// The commonest separator of the header.
fn delimiter(bytes: &[u8]) -> u8 {
    let header = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let count = |separator: u8| header.split(|&byte| byte == separator).count();
    [b',', b';', b'\t'].into_iter().rev().max_by_key(|&separator| count(separator)).unwrap_or(b',')
}

fn row(record: &csv::ByteRecord, columns: &[usize; 5], number: u64) -> Result<Row, String> {
    let text = |column: usize| {
        let bytes = record.get(columns[column]).unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8", COLUMNS[column]))
    };
    let image_path = text(0)?.to_owned();
    if image_path.is_empty() {
        return Err("image_path is empty".to_owned());
    }
    let mut texts = [""; 4];
    for (index, slot) in texts.iter_mut().enumerate() {
        *slot = text(index + 1)?;
    }
    if texts.iter().all(|text| text.is_empty()) {
        return Ok(Row { number, image_path, face: None });
    }
    let mut face = [0.0; 4];
    for (index, (value, text)) in face.iter_mut().zip(texts).enumerate() {
        let parsed: Option<f32> = text.parse().ok();
        let name = COLUMNS[index + 1];
        *value = parsed
            .filter(|number| number.is_finite())
            .ok_or_else(|| format!("{name} is {text:?}, not a number"))?;
    }
    if face[2] <= 0.0 || face[3] <= 0.0 {
        return Err(format!("the box is {} × {} pixels; both must be above 0", face[2], face[3]));
    }
    Ok(Row { number, image_path, face: Some(face) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name_whatever_the_order_and_separator() {
        let text = b"\xef\xbb\xbfW;H;extra;Image_Path;X1;Y1\r\n3;4;9;a.jpg;1;2\r\n";
        let mut report = Report::default();
        let rows = parse("a.csv", text, &mut report).unwrap();
        let face = Some([1.0, 2.0, 3.0, 4.0]);
        assert_eq!(rows, [Row { number: 2, image_path: "a.jpg".into(), face }]);
        assert_eq!(report, Report::default());
    }

    #[test]
    fn bad_rows_are_reported_by_number_and_the_others_kept() {
        let text = b"image_path,x1,y1,w,h\na.jpg,1,2,x,4\n,1,2,3,4\na.jpg,1,2,0,4\na.jpg,nan,2,3,4\nb.jpg,,,,\na.jpg,1\n";
        let mut report = Report::default();
        let rows = parse("a.csv", text, &mut report).unwrap();
        assert_eq!(rows, [Row { number: 6, image_path: "b.jpg".into(), face: None }]);
        let numbers: Vec<_> = report.problems.iter().map(|problem| problem.row.unwrap()).collect();
        assert_eq!(numbers, [2, 3, 4, 5, 7]);
        assert_eq!(report.problems[0].reason, "w is \"x\", not a number");
        assert_eq!(report.counts["bad row"], 5);
    }

    #[test]
    fn a_table_of_something_else_is_no_annotations() {
        let text = b"image_path,orig_w,w,h\na.jpg,1,2,3\n";
        assert_eq!(parse("images.csv", text, &mut Report::default()), None);
        assert_eq!(parse("empty.csv", b"", &mut Report::default()), None);
    }
}
