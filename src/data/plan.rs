//! From tables and file names to the pictures to import: whose faces, which split.

use std::collections::{BTreeMap, BTreeSet};

use super::annotations::Face;
use super::manifest::{Difficulty, Split};
use super::report::ImportReport;
use super::tables::{self, FaceTable, PlanError};
use crate::geometry::Keypoints;

/// A picture to import.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct PlannedPicture {
    /// `None` leaves it to the seeded split.
    pub(super) split: Option<Split>,
    /// Table and row of each face, and its box in pixels.
    pub(super) faces: Vec<PlannedFace>,
    /// There are rows that cannot be used.
    has_bad_rows: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct PlannedFace {
    pub(super) file: String,
    pub(super) row: u64,
    /// x and y of the top-left corner, width, height.
    pub(super) pixels: [f32; 4],
    /// Keypoints, in pixels.
    pub(super) keypoints: Keypoints,
    pub(super) difficulty: Option<Difficulty>,
}

/// * `tables`: path and content of every CSV file, sorted; `pictures`: paths of all pictures.
pub(super) fn plan(
    tables: &[(String, Vec<u8>)],
    pictures: &BTreeSet<String>,
    report: &mut ImportReport,
) -> Result<BTreeMap<String, PlannedPicture>, PlanError> {
    let tables = tables::choose(tables, report)?;
    let mut planned: BTreeMap<String, PlannedPicture> =
        pictures.iter().map(|path| (path.clone(), PlannedPicture::default())).collect();
    let mut owner: BTreeMap<String, usize> = BTreeMap::new();
    for (number, table) in tables.iter().enumerate() {
        for row in &table.rows {
            let mut problem = |kind: &str, reason: String| {
                report.add(kind, &table.path, Some(row.number), reason);
            };
            let Some(path) = resolve(table, &row.image_path, pictures) else {
                let reason = format!("the archive holds no picture {:?}", row.image_path);
                problem("picture not in the archive", reason);
                continue;
            };
            let first = *owner.entry(path.clone()).or_insert(number);
            if first != number {
                let reason = format!("{path} is annotated in {} already", tables[first].path);
                problem("picture in two tables", reason);
                continue;
            }
            let entry = planned.entry(path).or_default();
            entry.split = table.split;
            match row.face {
                Face::None => {}
                Face::Unknown => entry.has_bad_rows = true,
                Face::At(pixels) => {
                    entry.faces.push(PlannedFace {
                        file: table.path.clone(),
                        row: row.number,
                        pixels,
                        keypoints: row.keypoints,
                        difficulty: row.difficulty,
                    });
                }
            }
        }
    }
    for (path, entry) in &mut planned {
        if !owner.contains_key(path) {
            entry.split = split_of_negative(path, &tables);
        }
    }
    leave_out_unknown(&mut planned, report);
    Ok(planned)
}

/// A picture with only bad rows does not count as a picture without faces.
fn leave_out_unknown(planned: &mut BTreeMap<String, PlannedPicture>, report: &mut ImportReport) {
    planned.retain(|path, picture| {
        let known = !picture.has_bad_rows || !picture.faces.is_empty();
        if !known {
            let reason = "none of its rows can be used; it was left out".to_owned();
            report.add("picture without a usable row", path, None, reason);
        }
        known
    });
}

/// Finds a path beside the table, or from the archive's root.
fn resolve(table: &FaceTable, written: &str, pictures: &BTreeSet<String>) -> Option<String> {
    let written = written.replace('\\', "/");
    let places = [join(&table.folder, &written), join("", &written)];
    places.into_iter().flatten().find(|path| pictures.contains(path))
}

/// Joins a path to a folder; `None` when it leads out of the archive.
fn join(folder: &str, path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// A picture without a row belongs to the table of the innermost folder around it; to training if that is ambiguous.
fn split_of_negative(path: &str, tables: &[FaceTable]) -> Option<Split> {
    if tables.iter().all(|table| table.split.is_none()) {
        return None;
    }
    let is_around = |table: &&FaceTable| {
        let rest = path.strip_prefix(&table.folder);
        table.folder.is_empty() || rest.is_some_and(|rest| rest.starts_with('/'))
    };
    let around: Vec<&FaceTable> = tables.iter().filter(is_around).collect();
    let innermost = around.iter().map(|table| table.folder.len()).max();
    let mut innermost = around.iter().filter(|table| Some(table.folder.len()) == innermost);
    let only_val = innermost.clone().count() > 0 && innermost.all(|t| t.split == Some(Split::Val));
    Some(if only_val { Split::Val } else { Split::Train })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "image_path,x1,y1,w,h\n";

    fn planned(
        tables: &[(&str, &str)],
        pictures: &[&str],
    ) -> Result<(BTreeMap<String, PlannedPicture>, ImportReport), PlanError> {
        let tables: Vec<_> = tables
            .iter()
            .map(|(path, rows)| (path.to_string(), format!("{HEADER}{rows}").into_bytes()))
            .collect();
        let pictures = pictures.iter().map(ToString::to_string).collect();
        let mut report = ImportReport::default();
        plan(&tables, &pictures, &mut report).map(|planned| (planned, report))
    }

    #[test]
    fn train_and_val_tables_side_by_side_split_the_pictures() {
        let tables = [("train.csv", "i/a.jpg,1,1,5,5\n"), ("val.csv", "i/b.jpg,1,1,5,5\n")];
        let (planned, report) = planned(&tables, &["i/a.jpg", "i/b.jpg", "i/c.jpg"]).unwrap();
        let splits: Vec<_> = planned.values().map(|picture| picture.split).collect();
        assert_eq!(splits, [Some(Split::Train), Some(Split::Val), Some(Split::Train)]);
        assert_eq!(report, ImportReport::default());
    }

    #[test]
    fn folders_named_train_and_val_split_the_pictures_negatives_too() {
        let tables = [
            ("wider_train/annotations.csv", "images/a.jpg,1,1,5,5\n"),
            ("wider_train/annotations_full.csv", "images/a.jpg,1,1,5,5\n"),
            ("wider_val/annotations.csv", "images/a.jpg,1,1,5,5\n"),
        ];
        let pictures =
            ["wider_train/images/a.jpg", "wider_val/images/a.jpg", "wider_val/images/n.jpg"];
        let (planned, report) = planned(&tables, &pictures).unwrap();
        let splits: Vec<_> = planned.values().map(|picture| picture.split).collect();
        assert_eq!(splits, [Some(Split::Train), Some(Split::Val), Some(Split::Val)]);
        assert_eq!(planned["wider_train/images/a.jpg"].faces.len(), 1, "not doubled");
        assert_eq!(report.notes.len(), 1, "{report:?}");
    }

    #[test]
    fn one_table_leaves_the_split_open() {
        let (planned, _) =
            planned(&[("x/train.csv", "a.jpg,1,1,5,5\n")], &["x/a.jpg", "x/b.jpg"]).unwrap();
        assert!(planned.values().all(|picture| picture.split.is_none()));
    }

    #[test]
    fn rows_of_missing_or_twice_annotated_pictures_are_reported() {
        let tables =
            [("train.csv", "a.jpg,1,1,5,5\n"), ("val.csv", "a.jpg,1,1,5,5\nz.jpg,1,1,5,5\n")];
        let (planned, report) = planned(&tables, &["a.jpg"]).unwrap();
        let problems: Vec<_> = report.problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [
                "val.csv, row 2: a.jpg is annotated in train.csv already",
                "val.csv, row 3: the archive holds no picture \"z.jpg\""
            ]
        );
        assert_eq!(planned["a.jpg"].split, Some(Split::Train));
        assert_eq!(planned["a.jpg"].faces.len(), 1);
    }

    #[test]
    fn a_picture_with_bad_rows_alone_is_left_out_and_not_taken_for_an_empty_one() {
        let rows = "a.jpg,1,1,x,5\nb.jpg,1,1,x,5\nb.jpg,1,1,5,5\nc.jpg,,,,\n";
        let pictures = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"];
        let (planned, report) = planned(&[("annotations.csv", rows)], &pictures).unwrap();
        let faces: Vec<_> =
            planned.iter().map(|(path, picture)| (path.as_str(), picture.faces.len())).collect();
        assert_eq!(faces, [("b.jpg", 1), ("c.jpg", 0), ("d.jpg", 0)]);
        assert_eq!(report.counts["picture without a usable row"], 1);
    }

    #[test]
    fn paths_lead_from_the_table_or_from_the_root_but_not_outside() {
        let rows = "./a.jpg,1,1,5,5\n../images/b.jpg,1,1,5,5\nimages\\c.jpg,1,1,5,5\n\
            /images/d.jpg,1,1,5,5\n../../images/b.jpg,1,1,5,5\n";
        let pictures = ["labels/a.jpg", "images/b.jpg", "images/c.jpg", "images/d.jpg"];
        let (planned, report) = planned(&[("labels/faces.csv", rows)], &pictures).unwrap();
        assert!(planned.values().all(|picture| picture.faces.len() == 1), "{planned:?}");
        assert_eq!(report.problems.len(), 1, "{report:?}");
        assert_eq!(report.problems[0].row, Some(6));
    }

    #[test]
    fn a_picture_in_no_tables_folder_is_trained_on() {
        let tables = [("l/train.csv", "i/a.jpg,1,1,5,5\n"), ("l/val.csv", "i/b.jpg,1,1,5,5\n")];
        let (planned, _) =
            planned(&tables, &["i/a.jpg", "i/b.jpg", "i/c.jpg", "lx/d.jpg"]).unwrap();
        let splits: Vec<_> = planned.values().map(|picture| picture.split.unwrap()).collect();
        assert_eq!(splits, [Split::Train, Split::Val, Split::Train, Split::Train]);
    }

    #[test]
    fn archives_without_usable_tables_are_refused_with_what_is_expected() {
        let error = planned(&[], &["a.jpg"]).unwrap_err().to_string();
        assert!(error.contains("image_path,x1,y1,w,h") && error.contains("no CSV file"), "{error}");
        let error = planned(&[("val.csv", "a.jpg,1,1,5,5\n")], &["a.jpg"]).unwrap_err();
        assert_eq!(error, PlanError::NoTraining("val.csv".into()));
    }
}
