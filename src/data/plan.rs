//! From tables and file names to the pictures to import: whose faces, which split.

use std::collections::{BTreeMap, BTreeSet};

use super::annotations::{self, Row};
use super::manifest::Split;
use super::report::Report;

/// A picture to import.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Planned {
    /// `None` leaves it to the seeded split.
    pub(super) split: Option<Split>,
    /// Table and row of each face, and its box in pixels.
    pub(super) faces: Vec<PlannedFace>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct PlannedFace {
    pub(super) file: String,
    pub(super) row: u64,
    /// x and y of the top-left corner, width, height.
    pub(super) pixels: [f32; 4],
}

/// The tables of an archive cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// No table has the right columns.
    #[error(
        "the archive holds no annotations: expected a CSV file with the columns image_path,x1,y1,w,h \
         (found {})", if .0.is_empty() { "no CSV file".to_owned() } else { .0.join(", ") }
    )]
    NoAnnotations(Vec<String>),
    /// Two tables may both be meant.
    #[error("{0} and {1} could both be the annotations of the same pictures; keep one of them")]
    Ambiguous(String, String),
    /// Only validation pictures.
    #[error("the archive holds validation annotations ({0}) but none to train on; add a train.csv")]
    NoTraining(String),
}

struct Table {
    path: String,
    folder: String,
    split: Option<Split>,
    rows: Vec<Row>,
}

/// Names of a table that is meant when its folder holds another.
const PREFERRED: [&str; 5] = ["annotations", "labels", "train", "val", "validation"];

/// * `tables`: path and content of every CSV file; `pictures`: paths of all pictures.
pub(super) fn plan(
    tables: &[(String, Vec<u8>)],
    pictures: &BTreeSet<String>,
    report: &mut Report,
) -> Result<BTreeMap<String, Planned>, PlanError> {
    let tables = choose(tables, report)?;
    let mut planned: BTreeMap<String, Planned> =
        pictures.iter().map(|path| (path.clone(), Planned::default())).collect();
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
            let face = |pixels| PlannedFace { file: table.path.clone(), row: row.number, pixels };
            entry.faces.extend(row.face.map(face));
        }
    }
    for (path, entry) in &mut planned {
        if !owner.contains_key(path) {
            entry.split = split_of_negative(path, &tables);
        }
    }
    Ok(planned)
}

/// The tables that hold annotations, with the split each is for.
fn choose(files: &[(String, Vec<u8>)], report: &mut Report) -> Result<Vec<Table>, PlanError> {
    let mut tables: Vec<Table> = Vec::new();
    let mut others = Vec::new();
    for (path, bytes) in files {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        let split = split_of(path);
        let twin = tables.iter().position(|t| t.folder == folder && t.split == split);
        let mut own = Report::default();
        let Some(rows) = annotations::parse(path, bytes, &mut own) else {
            others.push(path.clone());
            report.notes.push(format!(
                "{path} was left out: it lacks one of the columns {}",
                annotations::COLUMNS.join(",")
            ));
            continue;
        };
        let table = Table { path: path.clone(), folder, split, rows };
        match twin {
            None => tables.push(table),
            Some(twin) => {
                let (kept, left_out) = match (preferred(&tables[twin].path), preferred(path)) {
                    (true, false) => (tables[twin].path.clone(), path.clone()),
                    (false, true) => {
                        (path.clone(), std::mem::replace(&mut tables[twin], table).path)
                    }
                    _ => return Err(PlanError::Ambiguous(tables[twin].path.clone(), path.clone())),
                };
                report.notes.push(format!("{left_out} was left out in favour of {kept}"));
                if left_out == *path {
                    continue; // Its bad rows do not matter.
                }
            }
        }
        own.problems.into_iter().for_each(|p| report.add("bad row", &p.file, p.row, p.reason));
    }
    finish_splits(tables, others)
}

fn finish_splits(mut tables: Vec<Table>, others: Vec<String>) -> Result<Vec<Table>, PlanError> {
    if tables.is_empty() {
        return Err(PlanError::NoAnnotations(others));
    }
    match tables.iter().find(|table| table.split == Some(Split::Val)) {
        // Without validation tables every picture is split alike.
        None => tables.iter_mut().for_each(|table| table.split = None),
        Some(val) => {
            let path = val.path.clone();
            for table in &mut tables {
                table.split = table.split.or(Some(Split::Train));
            }
            if tables.iter().all(|table| table.split == Some(Split::Val)) {
                return Err(PlanError::NoTraining(path));
            }
        }
    }
    Ok(tables)
}

fn preferred(path: &str) -> bool {
    PREFERRED.contains(&stem(path).to_lowercase().as_str())
}

fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// By the table's name, else by its folders', innermost first: `train.csv`, `val/annotations.csv`.
fn split_of(path: &str) -> Option<Split> {
    let by_name = |name: &str| {
        let name = name.to_lowercase();
        let last = name.rsplit(['_', '-', ' ', '.']).next().unwrap_or_default();
        match last {
            "train" | "training" => Some(Split::Train),
            "val" | "valid" | "validation" => Some(Split::Val),
            _ => None,
        }
    };
    let folders = path.rsplit('/').skip(1);
    std::iter::once(stem(path)).chain(folders).find_map(by_name)
}

/// A path beside the table, or from the archive's root.
fn resolve(table: &Table, written: &str, pictures: &BTreeSet<String>) -> Option<String> {
    let written = written.replace('\\', "/");
    let written = written.trim_start_matches("./").trim_start_matches('/');
    let beside = format!("{}/{written}", table.folder);
    let beside = beside.trim_start_matches('/');
    [beside, written].into_iter().find(|path| pictures.contains(*path)).map(str::to_owned)
}

/// A picture without a row belongs to the tables of the innermost folder around it; to training
/// where that leaves a choice.
fn split_of_negative(path: &str, tables: &[Table]) -> Option<Split> {
    let around =
        |table: &&Table| table.folder.is_empty() || path.starts_with(&format!("{}/", table.folder));
    let innermost = tables.iter().filter(around).map(|table| table.folder.len()).max();
    let innermost: Vec<&Table> =
        tables.iter().filter(around).filter(|t| Some(t.folder.len()) == innermost).collect();
    let splits: BTreeSet<Option<Split>> = innermost.iter().map(|table| table.split).collect();
    match splits.len() {
        1 => splits.first().copied().flatten(),
        _ if tables.iter().all(|table| table.split.is_none()) => None,
        _ => Some(Split::Train),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "image_path,x1,y1,w,h\n";

    fn planned(
        tables: &[(&str, &str)],
        pictures: &[&str],
    ) -> Result<(BTreeMap<String, Planned>, Report), PlanError> {
        let tables: Vec<_> = tables
            .iter()
            .map(|(path, rows)| (path.to_string(), format!("{HEADER}{rows}").into_bytes()))
            .collect();
        let pictures = pictures.iter().map(std::string::ToString::to_string).collect();
        let mut report = Report::default();
        plan(&tables, &pictures, &mut report).map(|planned| (planned, report))
    }

    #[test]
    fn train_and_val_tables_side_by_side_split_the_pictures() {
        let tables = [("train.csv", "i/a.jpg,1,1,5,5\n"), ("val.csv", "i/b.jpg,1,1,5,5\n")];
        let (planned, report) = planned(&tables, &["i/a.jpg", "i/b.jpg", "i/c.jpg"]).unwrap();
        let splits: Vec<_> = planned.values().map(|picture| picture.split).collect();
        assert_eq!(splits, [Some(Split::Train), Some(Split::Val), Some(Split::Train)]);
        assert_eq!(report, Report::default());
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
        let (_, report) = planned(&tables, &["a.jpg"]).unwrap();
        let reasons: Vec<_> =
            report.problems.iter().map(|problem| problem.reason.as_str()).collect();
        assert_eq!(
            reasons,
            ["a.jpg is annotated in train.csv already", "the archive holds no picture \"z.jpg\""]
        );
    }

    #[test]
    fn archives_without_usable_tables_say_what_is_expected() {
        let error = planned(&[], &["a.jpg"]).unwrap_err().to_string();
        assert!(error.contains("image_path,x1,y1,w,h") && error.contains("no CSV file"), "{error}");
        let error = planned(&[("val.csv", "a.jpg,1,1,5,5\n")], &["a.jpg"]).unwrap_err();
        assert_eq!(error, PlanError::NoTraining("val.csv".into()));
        let twins = [("one.csv", "a.jpg,1,1,5,5\n"), ("two.csv", "a.jpg,1,1,5,5\n")];
        let error = planned(&twins, &["a.jpg"]).unwrap_err();
        assert_eq!(error, PlanError::Ambiguous("one.csv".into(), "two.csv".into()));
    }
}
