//! Which of an archive's CSV files are its annotations, and which split each is for.

use std::collections::BTreeMap;

use super::annotations::{self, COLUMNS, Row};
use super::manifest::Split;
use super::report::ImportReport;

/// The tables of an archive cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// No table has the right columns.
    #[error(
        "the archive holds no annotations: expected a CSV file with the columns {} (found {})",
        COLUMNS.join(","),
        found(.0)
    )]
    NoAnnotations(Vec<String>),
    /// Two tables may both be meant.
    #[error("{0} and {1} could both be the annotations of the same pictures; keep one of them")]
    Ambiguous(String, String),
    /// Only validation pictures.
    #[error("the archive holds validation annotations ({0}) but none to train on; add a train.csv")]
    NoTraining(String),
}

fn found(others: &[String]) -> String {
    match others {
        [] => "no CSV file".to_owned(),
        [first] => format!("only {first}, without them"),
        [first, rest @ ..] => format!("{first} and {} more CSV files, without them", rest.len()),
    }
}

/// Annotations of one archive, or of one split of it.
#[derive(Debug)]
pub(super) struct FaceTable {
    pub(super) path: String,
    /// Without a slash at its end; empty for the archive's root.
    pub(super) folder: String,
    /// `None` leaves it to the seeded split.
    pub(super) split: Option<Split>,
    pub(super) rows: Vec<Row>,
    /// What is wrong with its rows.
    report: ImportReport,
}

/// Names that win when a folder holds several tables for the same split.
const PREFERRED: [&str; 7] =
    ["annotations", "labels", "train", "training", "val", "validation", "test"];

/// The tables that hold annotations; problems of other tables are not reported.
///
/// * `files`: path and content of every CSV file, sorted.
pub(super) fn choose(
    files: &[(String, Vec<u8>)],
    report: &mut ImportReport,
) -> Result<Vec<FaceTable>, PlanError> {
    let mut groups: BTreeMap<(String, Option<Split>), Vec<FaceTable>> = BTreeMap::new();
    let mut others = Vec::new();
    for (path, bytes) in files {
        let mut own = ImportReport::default();
        let Some(rows) = annotations::parse(path, bytes, &mut own) else {
            let columns = COLUMNS.join(",");
            report
                .notes
                .push(format!("{path} was left out: it lacks one of the columns {columns}"));
            others.push(path.clone());
            continue;
        };
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        let split = split_of(path);
        let table =
            FaceTable { path: path.clone(), folder: folder.clone(), split, rows, report: own };
        groups.entry((folder, split)).or_default().push(table);
    }
    let mut tables = Vec::new();
    for group in groups.into_values() {
        tables.push(the_one_meant(group, report)?);
    }
    if tables.is_empty() {
        return Err(PlanError::NoAnnotations(others));
    }
    tables.sort_by(|a, b| a.path.cmp(&b.path));
    for table in &mut tables {
        report.append(std::mem::take(&mut table.report));
    }
    finish_splits(tables)
}

/// Chooses among tables in the same folder for the same split: two of them would count every face twice.
fn the_one_meant(
    mut group: Vec<FaceTable>,
    report: &mut ImportReport,
) -> Result<FaceTable, PlanError> {
    let is_preferred = |table: &FaceTable| PREFERRED.contains(&stem(&table.path).as_str());
    let preferred: Vec<usize> = (0..group.len()).filter(|&at| is_preferred(&group[at])).collect();
    let meant = match (preferred[..].as_ref(), group.len()) {
        ([meant], _) => *meant,
        (_, 1) => 0,
        ([first, second, ..], _) => return Err(ambiguous(&group, *first, *second)),
        _ => return Err(ambiguous(&group, 0, 1)),
    };
    let meant = group.swap_remove(meant);
    group.sort_by(|a, b| a.path.cmp(&b.path));
    for other in group {
        report.notes.push(format!("{} was left out in favour of {}", other.path, meant.path));
    }
    Ok(meant)
}

fn ambiguous(group: &[FaceTable], a: usize, b: usize) -> PlanError {
    PlanError::Ambiguous(group[a].path.clone(), group[b].path.clone())
}

fn finish_splits(mut tables: Vec<FaceTable>) -> Result<Vec<FaceTable>, PlanError> {
    let val = tables.iter().find(|table| table.split == Some(Split::Val));
    let val = val.map(|table| table.path.clone());
    for table in &mut tables {
        // Without validation tables, all pictures are split by seed.
        table.split = val.as_ref().map(|_| table.split.unwrap_or(Split::Train));
    }
    match val {
        Some(path) if tables.iter().all(|table| table.split == Some(Split::Val)) => {
            Err(PlanError::NoTraining(path))
        }
        _ => Ok(tables),
    }
}

/// A file's name in lower case, without its extension.
fn stem(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_lowercase()
}

/// The split that the first or last word of the table's name says, or else that of its folders, innermost first:
/// `train.csv`, `faces_val.csv`, `val/annotations.csv`.
fn split_of(path: &str) -> Option<Split> {
    let by_word = |word: &str| match word {
        "train" | "training" => Some(Split::Train),
        // Pictures kept for testing must not be trained on.
        "val" | "valid" | "validation" | "test" | "testing" => Some(Split::Val),
        _ => None,
    };
    let by_name = |name: String| {
        let mut words = name.split(['_', '-', ' ', '.']);
        let first = words.next();
        words.next_back().and_then(by_word).or_else(|| first.and_then(by_word))
    };
    let folders = path.rsplit('/').skip(1).map(str::to_lowercase);
    std::iter::once(stem(path)).chain(folders).find_map(by_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &[u8] = b"image_path,x1,y1,w,h\na.jpg,1,1,5,5\n";

    type Chosen = (Vec<(String, Option<Split>)>, ImportReport);

    fn chosen(paths: &[&str]) -> Result<Chosen, PlanError> {
        let files: Vec<_> = paths.iter().map(|path| (path.to_string(), ROWS.to_vec())).collect();
        let mut report = ImportReport::default();
        let tables = choose(&files, &mut report)?;
        Ok((tables.into_iter().map(|table| (table.path, table.split)).collect(), report))
    }

    #[test]
    fn the_tables_name_or_else_its_folder_decides_the_split() {
        let (train, val) = (Some(Split::Train), Some(Split::Val));
        for (path, split) in [
            ("train.csv", train),
            ("Faces-Val.csv", val),
            ("val_faces.csv", val),
            ("wider_val/annotations.csv", val),
            ("train/2024/annotations.csv", train),
            ("train/val.csv", val),
            ("trains/values.csv", None),
            ("test/labels.csv", val),
            ("annotations.csv", None),
        ] {
            assert_eq!(split_of(path), split, "{path}");
        }
    }

    #[test]
    fn a_fuller_table_beside_the_annotations_does_not_count() {
        let (tables, report) = chosen(&["annotations.csv", "annotations_full.csv"]).unwrap();
        assert_eq!(tables, [("annotations.csv".to_owned(), None)]);
        assert_eq!(
            report.notes,
            ["annotations_full.csv was left out in favour of annotations.csv"]
        );
        let (tables, _) = chosen(&["a.csv", "b.csv", "x/annotations.csv", "labels.csv"]).unwrap();
        assert_eq!(tables.len(), 2, "labels.csv and the one in the folder: {tables:?}");
    }

    #[test]
    fn two_tables_that_may_both_be_meant_are_refused() {
        for paths in [["one.csv", "two.csv"], ["annotations.csv", "labels.csv"]] {
            let error = chosen(&paths).unwrap_err();
            assert_eq!(error, PlanError::Ambiguous(paths[0].to_owned(), paths[1].to_owned()));
        }
        let both = chosen(&["test.csv", "train.csv", "val.csv"]).unwrap_err();
        assert_eq!(both, PlanError::Ambiguous("test.csv".to_owned(), "val.csv".to_owned()));
    }

    #[test]
    fn tables_of_one_name_in_several_folders_all_count() {
        let (tables, _) = chosen(&["a/annotations.csv", "b/annotations.csv"]).unwrap();
        assert_eq!(tables.len(), 2);
    }

    #[test]
    fn a_thousand_bad_rows_are_counted_and_those_of_tables_left_out_are_not() {
        let bad = format!("image_path,x1,y1,w,h\n{}", "a.jpg,1,1,x,5\n".repeat(1000)).into_bytes();
        let files =
            [("annotations.csv".to_owned(), bad.clone()), ("annotations_full.csv".to_owned(), bad)];
        let mut report = ImportReport::default();
        choose(&files, &mut report).unwrap();
        assert_eq!(report.counts["not a number"], 1000);
    }
}
