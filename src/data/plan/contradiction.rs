//! Tables that disagree about a picture.

use std::collections::HashMap;

use crate::data::labels::Face;
use crate::data::names::Match;
use crate::data::plan_error::PlanError;
use crate::data::reporter::Reporter;
use crate::data::tables::{self, FaceTable};

/// Names of tables that take precedence over a contradicting table in the same folder.
const PREFERRED: [&str; 7] =
    ["annotations", "labels", "train", "training", "val", "validation", "test"];

/// Returns the indices of the tables to use: all of them, unless a picture has different boxes in two.
pub(super) fn without_contradictions(
    tables: &[FaceTable],
    matches: &[HashMap<String, Match<'_>>],
    report: &mut Reporter,
) -> Result<Vec<usize>, PlanError> {
    let boxes: Vec<_> =
        tables.iter().zip(matches).map(|(table, found)| boxes(table, found)).collect();
    let mut is_used = vec![true; tables.len()];
    for second in 0..tables.len() {
        for first in 0..second {
            if !is_used[first] || !is_used[second] {
                continue;
            }
            let Some((picture, rows)) = contradiction(&boxes[first], &boxes[second]) else {
                continue;
            };
            let [a, b] = [first, second].map(|index| &tables[index].labels);
            let is_preferred =
                [a, b].map(|table| PREFERRED.contains(&tables::stem(&table.path).as_str()));
            if a.folder() != b.folder() || is_preferred[0] == is_preferred[1] {
                let place = |path: &str, row: u64| format!("{path}, row {row}");
                let (first, second) = (place(&a.path, rows[0]), place(&b.path, rows[1]));
                return Err(PlanError::Contradiction { picture, first, second });
            }
            let (kept, dropped) = if is_preferred[0] { (first, second) } else { (second, first) };
            is_used[dropped] = false;
            report.note(format!(
                "{} was not used: its boxes for {picture} differ from those in {}",
                tables[dropped].labels.path, tables[kept].labels.path
            ));
            report.told.files.lose("table that contradicts another", 1);
        }
    }
    Ok((0..tables.len()).filter(|&index| is_used[index]).collect())
}

/// A table's boxes by picture, as left, top, width and height, with the number of the picture's first row.
type Boxes<'p> = HashMap<&'p str, (u64, Vec<[f32; 4]>)>;

fn boxes<'p>(table: &FaceTable, matches: &HashMap<String, Match<'p>>) -> Boxes<'p> {
    let mut boxes = Boxes::new();
    for row in &table.labels.rows {
        let Match::Found(path, _) = matches[&row.image_path] else { continue };
        let (_, of_picture) = boxes.entry(path).or_insert((row.number, Vec::new()));
        if let Face::At(numbers) | Face::Ignored(numbers) = row.face {
            of_picture.push(table.labels.shape.to_xywh(numbers));
        }
    }
    for (_, of_picture) in boxes.values_mut() {
        of_picture.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        of_picture.dedup();
    }
    boxes
}

/// Returns the first picture, by name, that has different boxes in two tables, and a row of each table.
fn contradiction(a: &Boxes<'_>, b: &Boxes<'_>) -> Option<(String, [u64; 2])> {
    let differing = a.iter().filter_map(|(path, (row, boxes))| {
        let (other, others) = b.get(path)?;
        (!are_equal(boxes, others)).then_some((*path, [*row, *other]))
    });
    differing.min().map(|(path, rows)| (path.to_owned(), rows))
}

/// Whether two lists of boxes are the same, apart from rounding to two decimal places.
fn are_equal(a: &[[f32; 4]], b: &[[f32; 4]]) -> bool {
    let is_near = |(a, b): (&f32, &f32)| (a - b).abs() <= 0.01;
    a.len() == b.len() && a.as_flattened().iter().zip(b.as_flattened()).all(is_near)
}

#[cfg(test)]
mod tests {
    use crate::data::plan::tests::planned;

    #[test]
    fn tables_that_contradict_each_other_are_refused_with_the_picture() {
        let tables =
            [("one.csv", "a.jpg,1,1,5,5\n"), ("two.csv", "b.jpg,1,1,5,5\na.jpg,1,1,5,6\n")];
        let Err(error) = planned(&tables, &["a.jpg", "b.jpg"]) else { panic!("accepted") };
        assert_eq!(
            error.to_string(),
            "a.jpg has different boxes in one.csv, row 2 and in two.csv, row 3; keep one of the two tables, or make them agree"
        );
    }

    #[test]
    fn a_fuller_table_beside_the_annotations_is_not_used() {
        let tables = [
            ("annotations.csv", "a.jpg,1,1,5,5\n"),
            ("annotations_full.csv", "a.jpg,1,1,5,5\na.jpg,9,9,5,5\n"),
        ];
        let planned = planned(&tables, &["a.jpg"]).unwrap();
        assert_eq!(planned.pictures["a.jpg"].faces.len(), 1);
        assert_eq!(planned.report.told.notes.len(), 1, "{:?}", planned.report);
        assert_eq!(planned.report.told.rows.given, 1);
    }
}
