//! Decides which rows are faces, if a table has several categories.

use std::collections::BTreeSet;

use super::format::Unread;
use super::{Face, LabelOptions, Row};
use crate::data::reporter::Reporter;

/// Decides which categories are faces, and turns the rows of all others into [`Face::Other`].
pub(super) fn keep_faces(
    rows: &mut [Row],
    options: &LabelOptions,
    path: &str,
    report: &mut Reporter,
) -> Result<(), Unread> {
    let lower: Vec<String> = rows.iter().map(|row| row.category.to_lowercase()).collect();
    let with_face = |row: &Row| matches!(row.face, Face::At(_) | Face::Ignored(_));
    let found: BTreeSet<&str> = rows
        .iter()
        .zip(&lower)
        .filter(|(row, _)| with_face(row))
        .map(|(_, name)| name.as_str())
        .collect();
    let stated: Vec<String> =
        options.face_categories.iter().map(|name| name.to_lowercase()).collect();
    let guessed: Vec<String> =
        found.iter().filter(|name| name.contains("face")).map(|&name| name.to_owned()).collect();
    let faces = match () {
        () if stated.iter().any(|name| name == "*") => return Ok(()),
        () if found.iter().any(|&name| stated.iter().any(|stated| stated == name)) => stated,
        () if stated.is_empty()
            && found.iter().all(|name| !BODIES.contains(name))
            && found.len() <= 1 =>
        {
            return Ok(());
        }
        () if stated.is_empty() && !guessed.is_empty() => guessed,
        () => return Err(Unread::Categories(found.iter().map(|&name| name.to_owned()).collect())),
    };
    let mut others = 0;
    for (row, name) in rows.iter_mut().zip(&lower) {
        if with_face(row) && !faces.contains(name) {
            row.face = Face::Other;
            let reason = format!("its category is {name:?}, which is not a face");
            report.lose_row(
                OTHER_CATEGORY,
                row.file.as_deref().unwrap_or(path),
                row.number,
                reason,
            );
            others += 1;
        }
    }
    if others > 0 {
        let faces = faces.join(", ");
        report
            .note(format!("{path}: {others} rows of categories other than {faces} were left out"));
    }
    Ok(())
}

/// Categories that are never faces, even if a table has no other.
const BODIES: [&str; 6] = ["person", "people", "pedestrian", "human", "body", "fullbody"];

/// The kind of problem for rows of other categories.
const OTHER_CATEGORY: &str = "other category";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::labels::{LabelTable, csv_table};

    #[test]
    fn the_category_named_face_counts_unless_the_user_names_another() {
        let text =
            b"filename,class,xmin,ymin,xmax,ymax\na.jpg,Face,1,1,9,9\na.jpg,person,1,1,9,9\n";
        let read = |bytes: &[u8], face_categories: &[&str]| {
            let face_categories = face_categories.iter().map(ToString::to_string).collect();
            csv_table(bytes, &LabelOptions { face_categories, ..LabelOptions::default() })
        };
        let faces = |table: LabelTable| table.rows.iter().map(|row| row.face).collect::<Vec<_>>();
        let at = Face::At([1.0, 1.0, 9.0, 9.0]);
        assert_eq!(faces(read(text, &[]).unwrap()), [at, Face::Other]);
        assert_eq!(faces(read(text, &["PERSON"]).unwrap()), [Face::Other, at]);
        assert_eq!(faces(read(text, &["*"]).unwrap()), [at, at]);
        let text = b"filename,class,xmin,ymin,xmax,ymax\na.jpg,cat,1,1,9,9\na.jpg,dog,1,1,9,9\n";
        let error = Unread::Categories(vec!["cat".to_owned(), "dog".to_owned()]);
        assert_eq!(read(text, &[]).unwrap_err(), error);
        assert_eq!(read(text, &["bird"]).unwrap_err(), error);
    }
}
