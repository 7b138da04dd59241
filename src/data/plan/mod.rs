//! Plans an import: which pictures, with which faces, in which split.

mod contradiction;
mod matching;
mod negatives;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::contradiction::without_contradictions;
use self::matching::{matches, note_differences, refuse_other_pictures, unfound};
use self::negatives::{leave_out_unknown, split_of_negative};
use super::labels::{Face, LabelFile, LabelOptions, Row};
use super::manifest::{Difficulty, Split};
use super::names::{Match, PictureNames};
use super::plan_error::PlanError;
use super::reporter::Reporter;
use super::tables::{self, FaceTable};
use crate::geometry::Keypoints;

/// What to import.
#[derive(Debug)]
pub(super) struct Plan {
    /// The pictures, sorted by path.
    pub(super) pictures: Vec<(String, PlannedPicture)>,
    /// The tables, without their rows.
    pub(super) tables: Vec<FaceTable>,
}

/// A picture to import.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct PlannedPicture {
    /// `None` leaves it to the seeded split.
    pub(super) split: Option<Split>,
    pub(super) faces: Vec<PlannedFace>,
    /// Number of rows that say that the picture has no face.
    pub(super) empty_rows: u64,
    /// Whether a row names it.
    has_rows: bool,
    /// Whether some of its rows cannot be used.
    pub(super) has_bad_rows: bool,
    /// Rows of four zeros: index of the table and number of the row.
    zeros: Vec<(usize, u64)>,
}

/// A row with a face.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PlannedFace {
    /// Index of its table.
    pub(super) table: usize,
    /// The file that the row is in.
    pub(super) file: Arc<str>,
    pub(super) row: u64,
    /// The box, in the table's shape and units until [`super::judge`] converts it to left, top, width and height in
    /// pixels.
    pub(super) numbers: [f32; 4],
    /// Width and height of the picture that the labels were drawn on, if the row states them.
    pub(super) size: Option<[f32; 2]>,
    /// In the same unit as `numbers`.
    pub(super) keypoints: Keypoints,
    pub(super) difficulty: Option<Difficulty>,
    /// Whether it counts neither as a face nor as background.
    pub(super) is_ignored: bool,
}

/// Plans an import.
///
/// * `files`: every file that may hold labels, sorted by path; `pictures`: paths of all pictures.
pub(super) fn plan(
    files: &[LabelFile],
    pictures: &BTreeSet<String>,
    options: &LabelOptions,
    report: &mut Reporter,
) -> Result<Plan, PlanError> {
    let mut tables = tables::read_all(files, pictures.len(), options, report)?;
    let names = PictureNames::new(pictures);
    let matches: Vec<_> = tables.iter().map(|table| matches(&names, table)).collect();
    refuse_other_pictures(&tables, &matches, pictures)?;
    let used = without_contradictions(&tables, &matches, report)?;
    let mut planned: BTreeMap<String, PlannedPicture> =
        pictures.iter().map(|path| (path.clone(), PlannedPicture::default())).collect();
    let mut unmatched = 0;
    for index in used {
        let table = &mut tables[index];
        report.append(std::mem::take(&mut table.labels.report));
        report.told.rows.given += table.labels.given;
        report.told.files.used += table.labels.files;
        unmatched += table.labels.nameless;
        let own_file: Arc<str> = table.labels.path.as_str().into();
        for row in &table.labels.rows {
            let file = row.file.as_ref().unwrap_or(&own_file);
            match matches[index][row.image_path.as_str()] {
                Match::Found(path, _) => {
                    let entry = planned.entry(path.to_owned()).or_default();
                    let is_first = !entry.has_rows;
                    entry.add(index, row, file);
                    if !is_first && entry.split != table.split {
                        let reason =
                            format!("{path} is also in another split; the stricter one counts");
                        report.add("picture in two splits", file, Some(row.number), reason);
                    }
                    entry.split = stricter(entry.split, table.split, is_first);
                }
                ref other => {
                    unmatched += 1;
                    let (kind, reason) = unfound(&row.image_path, other, &names, report);
                    report.lose_row(kind, file, row.number, reason);
                }
            }
        }
        note_differences(&table.labels, &matches[index], report);
    }
    drop(matches);
    for (path, entry) in &mut planned {
        if !entry.has_rows {
            entry.split = split_of_negative(path, &tables);
        }
    }
    leave_out_unknown(&mut planned, unmatched, &tables, report);
    for table in &mut tables {
        table.labels.rows = Vec::new();
    }
    Ok(Plan { pictures: planned.into_iter().collect(), tables })
}

impl PlannedPicture {
    fn add(&mut self, table: usize, row: &Row, file: &Arc<str>) {
        self.has_rows = true;
        let &Row { number, size, keypoints, difficulty, .. } = row;
        match row.face {
            Face::None => self.empty_rows += 1,
            Face::Other => {}
            Face::Unknown => self.has_bad_rows = true,
            Face::Zeros => self.zeros.push((table, number)),
            Face::At(numbers) | Face::Ignored(numbers) => {
                let is_ignored = matches!(row.face, Face::Ignored(_));
                let (row, file) = (number, file.clone());
                let face = PlannedFace {
                    table,
                    file,
                    row,
                    numbers,
                    size,
                    keypoints,
                    difficulty,
                    is_ignored,
                };
                self.faces.push(face);
            }
        }
    }
}

/// Combines the splits of a picture's tables: the one that is used least in training wins.
fn stricter(a: Option<Split>, b: Option<Split>, is_first: bool) -> Option<Split> {
    if is_first { b } else { a.max(b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "image_path,x1,y1,w,h\n";

    pub(super) struct Planned {
        pub(super) pictures: BTreeMap<String, PlannedPicture>,
        pub(super) report: Reporter,
    }

    pub(super) fn planned(
        tables: &[(&str, &str)],
        pictures: &[&str],
    ) -> Result<Planned, PlanError> {
        let tables: Vec<_> = tables
            .iter()
            .map(|(path, rows)| {
                LabelFile::new(path.to_string(), format!("{HEADER}{rows}").as_bytes())
            })
            .collect();
        let pictures = pictures.iter().map(ToString::to_string).collect();
        let mut report = Reporter::default();
        let plan = plan(&tables, &pictures, &LabelOptions::default(), &mut report)?;
        Ok(Planned { pictures: plan.pictures.into_iter().collect(), report })
    }

    fn splits(planned: &Planned) -> Vec<Option<Split>> {
        planned.pictures.values().map(|picture| picture.split).collect()
    }

    #[test]
    fn train_and_val_tables_side_by_side_split_the_pictures() {
        let tables = [("train.csv", "i/a.jpg,1,1,5,5\n"), ("val.csv", "i/b.jpg,1,1,5,5\n")];
        let planned = planned(&tables, &["i/a.jpg", "i/b.jpg", "i/c.jpg"]).unwrap();
        assert_eq!(splits(&planned), [Some(Split::Train), Some(Split::Val), Some(Split::Train)]);
        assert!(planned.report.told.problems.is_empty() && planned.report.told.notes.is_empty());
    }

    #[test]
    fn folders_named_after_splits_also_split_the_negatives() {
        let tables = [
            ("wider_train/annotations.csv", "images/a.jpg,1,1,5,5\n"),
            ("wider_val/annotations.csv", "images/a.jpg,1,1,5,5\n"),
        ];
        let pictures = [
            "wider_train/images/a.jpg",
            "wider_val/images/a.jpg",
            "wider_val/images/n.jpg",
            "test/x.jpg",
        ];
        let planned = planned(&tables, &pictures).unwrap();
        let (train, val) = (Some(Split::Train), Some(Split::Val));
        assert_eq!(splits(&planned), [Some(Split::Test), train, val, val]);
    }

    #[test]
    fn one_table_leaves_the_split_open() {
        let planned = planned(&[("x/train.csv", "a.jpg,1,1,5,5\n")], &["x/a.jpg", "x/b.jpg"]);
        assert_eq!(splits(&planned.unwrap()), [None, None]);
    }

    #[test]
    fn a_picture_in_tables_of_two_splits_is_not_trained_on() {
        let tables =
            [("train.csv", "a.jpg,1,1,5,5\nb.jpg,1,1,5,5\n"), ("val.csv", "a.jpg,1,1,5,5\n")];
        let planned = planned(&tables, &["a.jpg", "b.jpg"]).unwrap();
        assert_eq!(splits(&planned), [Some(Split::Val), Some(Split::Train)]);
        assert_eq!(planned.report.told.counts["picture in two splits"], 1);
    }

    #[test]
    fn a_picture_with_only_bad_rows_is_left_out_rather_than_treated_as_a_negative() {
        let rows = "a.jpg,1,1,x,5\nb.jpg,1,1,x,5\nb.jpg,1,1,5,5\nc.jpg,,,,\n";
        let pictures = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"];
        let planned = planned(&[("annotations.csv", rows)], &pictures).unwrap();
        let faces: Vec<_> = planned
            .pictures
            .iter()
            .map(|(path, picture)| (path.as_str(), picture.faces.len()))
            .collect();
        assert_eq!(faces, [("b.jpg", 1), ("c.jpg", 0), ("d.jpg", 0)]);
        assert_eq!(planned.report.told.counts["picture without a usable row"], 1);
    }

    #[test]
    fn pictures_without_a_row_are_negatives_only_if_every_row_finds_its_picture() {
        let names = |rows: &str| {
            let planned = planned(&[("annotations.csv", rows)], &["a.jpg", "b.jpg"]).unwrap();
            planned.pictures.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(names("a.jpg,1,1,5,5\n"), ["a.jpg", "b.jpg"]);
        for unmatched in ["z.png,1,1,5,5\n", ",1,1,5,5\n"] {
            assert_eq!(names(&format!("a.jpg,1,1,5,5\n{unmatched}")), ["a.jpg"], "{unmatched}");
        }
    }

    #[test]
    fn zeros_mark_a_negative_only_if_the_picture_has_no_other_row() {
        let rows = "a.jpg,0,0,0,0\nb.jpg,0,0,0,0\nb.jpg,1,1,5,5\n";
        let planned = planned(&[("annotations.csv", rows)], &["a.jpg", "b.jpg"]).unwrap();
        assert_eq!(planned.pictures["a.jpg"].faces.len(), 0);
        assert_eq!(planned.pictures["b.jpg"].faces.len(), 1);
        let told: Vec<_> = planned.report.told.problems.iter().map(|problem| problem.row).collect();
        assert_eq!(told, [Some(3)]);
    }

    #[test]
    fn lenient_matches_are_counted_by_kind() {
        let rows = "i/a.png,1,1,5,5\ni/b.png,1,1,5,5\ni/C.jpg,1,1,5,5\n";
        let planned = planned(&[("annotations.csv", rows)], &["i/a.jpg", "i/b.jpg", "i/c.jpg"]);
        let notes = planned.unwrap().report.told.notes;
        assert!(notes[0].starts_with("1 names in annotations.csv differ"), "{notes:?}");
        assert!(
            notes[1].starts_with("2 names in annotations.csv have a different extension"),
            "{notes:?}"
        );
        assert!(notes[1].ends_with("i/a.png was matched with i/a.jpg"), "{notes:?}");
    }

    #[test]
    fn a_picture_outside_every_tables_folder_is_trained_on() {
        let tables = [("l/train.csv", "i/a.jpg,1,1,5,5\n"), ("l/val.csv", "i/b.jpg,1,1,5,5\n")];
        let planned = planned(&tables, &["i/a.jpg", "i/b.jpg", "i/c.jpg", "lx/d.jpg"]).unwrap();
        let (train, val) = (Some(Split::Train), Some(Split::Val));
        assert_eq!(splits(&planned), [train, val, train, train]);
    }
}
