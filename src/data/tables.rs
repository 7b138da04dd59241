//! Finds an archive's label files and the split of each.

use std::collections::BTreeMap;

use super::difficulty_lists;
use super::labels::yolo::DataYaml;
use super::labels::{self, LabelFile, LabelFormat, LabelOptions, LabelTable, Unread, WANTED};
use super::manifest::Split;
use super::plan_error::PlanError;
use super::reporter::Reporter;

/// A table and the split that its name or its folder indicates.
#[derive(Debug)]
pub(super) struct FaceTable {
    pub(super) labels: LabelTable,
    /// `None` leaves it to the seeded split.
    pub(super) split: Option<Split>,
}

/// Reads the label files of an archive.
///
/// * `files`: every file that may hold labels, sorted by path; `pictures`: total number of pictures.
pub(super) fn read_all(
    files: &[LabelFile],
    pictures: usize,
    options: &LabelOptions,
    report: &mut Reporter,
) -> Result<Vec<FaceTable>, PlanError> {
    let mut by_format: BTreeMap<LabelFormat, Vec<&LabelFile>> = BTreeMap::new();
    let mut others = 0;
    for file in files {
        match labels::format_of(file) {
            Some(format) => by_format.entry(format).or_default().push(file),
            None if difficulty_lists::is_list(&file.path) => difficulty_lists::leave_out(report),
            None => others += 1,
        }
    }
    // Empty texts are YOLO labels only if other files have objects.
    if by_format
        .get(&LabelFormat::Yolo)
        .is_some_and(|files| files.iter().all(|file| file.text.trim().is_empty()))
    {
        others += by_format.remove(&LabelFormat::Yolo).map_or(0, |files| files.len() as u64);
    }
    let has_yolo = by_format.contains_key(&LabelFormat::Yolo);
    let mut names = files.iter().filter(|file| has_yolo && is_names(&file.path));
    let names = names.find_map(DataYaml::read);
    if names.is_some() {
        others -= 1;
        report.told.files.used += 1;
    }
    let names = names.unwrap_or_default();
    let mut tables = Vec::new();
    for (&format, of_format) in &by_format {
        match format {
            LabelFormat::Voc | LabelFormat::Yolo | LabelFormat::LabelMe | LabelFormat::Points => {
                read_many(format, of_format, &names, options, report, &mut tables)?;
            }
            LabelFormat::Cvat | LabelFormat::CvatVideo => {
                for file in of_format {
                    read_cvat(format, file, options, report, &mut tables)?;
                }
            }
            _ => {
                for file in of_format {
                    read_one(format, file, options, report, &mut tables)?;
                }
            }
        }
    }
    refuse_mixed(&tables)?;
    if tables.is_empty() {
        let csv = by_format.get(&LabelFormat::Csv).and_then(|files| files.first());
        return Err(match csv {
            None => {
                let unknown = files.first().map(|first| (files.len(), first.path.clone()));
                PlanError::NoTable { pictures, unknown }
            }
            Some(file) => {
                let line = file.text.lines().next().unwrap_or_default().chars().take(120).collect();
                PlanError::NoAnnotations { file: file.path.clone(), line }
            }
        });
    }
    report.told.files.lose("not a picture or labels", others);
    difficulty_lists::note(report);
    finish_splits(&mut tables)?;
    Ok(tables)
}

/// Reads a file of a format with one table per file.
fn read_one(
    format: LabelFormat,
    file: &LabelFile,
    options: &LabelOptions,
    report: &mut Reporter,
    tables: &mut Vec<FaceTable>,
) -> Result<(), PlanError> {
    let own = report.child();
    let read = match format {
        LabelFormat::Coco => labels::coco::read(file, options, own),
        LabelFormat::Wider => labels::wider::read(file, own),
        LabelFormat::LabelStudio => labels::label_studio::read(file, options, own),
        LabelFormat::RetinaFace | LabelFormat::Scrfd => labels::retinaface::read(file, format, own),
        _ => labels::read(file, options, own),
    };
    match read {
        Ok(labels) => tables.push(FaceTable { labels, split: split_of(&file.path) }),
        Err(Unread::NotLabels(_)) => {
            report.told.files.lose("table without labels", 1);
            let path = &file.path;
            report.note(format!("{path} was not used: it lacks one of the columns {WANTED}"));
        }
        Err(other) => return Err(unread(&file.path, other)),
    }
    Ok(())
}

/// Reads a CVAT file, in which each subset of a project is a separate table.
fn read_cvat(
    format: LabelFormat,
    file: &LabelFile,
    options: &LabelOptions,
    report: &Reporter,
    tables: &mut Vec<FaceTable>,
) -> Result<(), PlanError> {
    let read = labels::cvat::read(file, format, options, report);
    for (subset, labels) in read.map_err(|error| unread(&file.path, error))? {
        let split = split_of_name(&subset.to_lowercase()).or_else(|| split_of(&file.path));
        tables.push(FaceTable { labels, split });
    }
    Ok(())
}

/// Reads the files of a format with one file per picture, as one table per split that the folders name.
fn read_many(
    format: LabelFormat,
    of_format: &[&LabelFile],
    names: &DataYaml,
    options: &LabelOptions,
    report: &mut Reporter,
    tables: &mut Vec<FaceTable>,
) -> Result<(), PlanError> {
    let mut by_split: BTreeMap<Option<Split>, Vec<&LabelFile>> = BTreeMap::new();
    for file in of_format {
        by_split.entry(split_of_folders(&file.path)).or_default().push(file);
    }
    for (split, files) in by_split {
        // Problems name the file of each row; the table is named after the folder of the first file.
        let name = files[0].path.rsplit_once('/').map_or(".", |(folder, _)| folder).to_owned();
        let own = report.child();
        let read = match format {
            LabelFormat::Voc => labels::voc::read(name.clone(), &files, options, own),
            LabelFormat::LabelMe => labels::labelme::read(name.clone(), &files, options, own),
            LabelFormat::Points => Ok(labels::points::read(name.clone(), &files, own)),
            _ => labels::yolo::read(name.clone(), &files, names, options, own),
        };
        let labels = read.map_err(|error| unread(&name, error))?;
        tables.push(FaceTable { labels, split });
    }
    Ok(())
}

/// Whether a file may hold the names of YOLO's classes.
fn is_names(path: &str) -> bool {
    let path = path.to_lowercase();
    [".yaml", ".yml", ".names"].iter().any(|extension| path.ends_with(extension))
}

/// Refuses labels in several formats, since one may repeat the other.
fn refuse_mixed(tables: &[FaceTable]) -> Result<(), PlanError> {
    let Some(first) = tables.first() else { return Ok(()) };
    match tables.iter().find(|table| table.labels.format != first.labels.format) {
        None => Ok(()),
        Some(second) => {
            let named =
                |table: &FaceTable| format!("{} ({})", table.labels.path, table.labels.format);
            Err(PlanError::Mixed(named(first), named(second)))
        }
    }
}

fn unread(file: &str, error: Unread) -> PlanError {
    let file = file.to_owned();
    match error {
        Unread::NotLabels(line) => PlanError::NoAnnotations { file, line },
        Unread::NoHeader(line) => PlanError::NoHeader { file, line },
        Unread::Categories(found) => {
            let first = found.first().cloned().unwrap_or_default();
            PlanError::Categories { file, found: found.join(", "), first }
        }
        Unread::MixedUnits { row, values, most } => {
            PlanError::MixedUnits { file, row, values, most }
        }
        Unread::Damaged(reason) => PlanError::Damaged { file, reason },
    }
}

/// Leaves the split to the seed if no table is for validation.
fn finish_splits(tables: &mut [FaceTable]) -> Result<(), PlanError> {
    if let [table] = &mut *tables
        && table.labels.path.contains(WIDER_LABELS)
    {
        table.split = split_of_folders(&table.labels.path); // Either half is often used alone.
    }
    let is_any = |tables: &[FaceTable], split| tables.iter().any(|table| table.split == split);
    let has_val = is_any(tables, Some(Split::Val));
    for table in &mut *tables {
        let open = if has_val { Some(Split::Train) } else { None };
        if matches!(table.split, None | Some(Split::Train)) {
            table.split = open;
        }
    }
    if is_any(tables, None) || is_any(tables, Some(Split::Train)) {
        return Ok(());
    }
    let kind = if has_val { "validation" } else { "test" };
    Err(PlanError::NoTraining(kind, tables[0].labels.path.clone()))
}

/// Returns a file's name in lower case, without its extension.
pub(super) fn stem(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_lowercase()
}

/// Returns the split that the last or first word of a file's name indicates, or else its folders, innermost first:
/// `train.csv`, `faces_val.csv`, `val/annotations.csv`.
pub(super) fn split_of(path: &str) -> Option<Split> {
    let stem = stem(path);
    let name = stem.strip_suffix(WIDER_LABELS).unwrap_or(&stem);
    split_of_name(name).or_else(|| split_of_folders(path))
}

/// What follows the split in `wider_face_train_bbx_gt.txt`, as WIDER FACE calls its labels.
const WIDER_LABELS: &str = "_bbx_gt";

/// Returns the split that the folders of a path indicate, innermost first.
pub(super) fn split_of_folders(path: &str) -> Option<Split> {
    path.rsplit('/').skip(1).find_map(|folder| split_of_name(&folder.to_lowercase()))
}

fn split_of_name(name: &str) -> Option<Split> {
    // As in `instances_val2017`.
    let by_word = |word: &str| match word.trim_end_matches(|letter: char| letter.is_ascii_digit()) {
        "train" | "training" => Some(Split::Train),
        "val" | "valid" | "validation" => Some(Split::Val),
        "test" | "testing" => Some(Split::Test),
        _ => None,
    };
    let mut words = name.split(['_', '-', ' ', '.']).filter(|word| !word.is_empty());
    let first = words.next();
    words.next_back().and_then(by_word).or_else(|| first.and_then(by_word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &[u8] = b"image_path,x1,y1,w,h\na.jpg,1,1,5,5\n";

    fn splits(paths: &[&str]) -> Result<Vec<Option<Split>>, PlanError> {
        let files: Vec<_> =
            paths.iter().map(|path| LabelFile::new(path.to_string(), ROWS)).collect();
        let tables = read_all(&files, 9, &LabelOptions::default(), &mut Reporter::default())?;
        Ok(tables.into_iter().map(|table| table.split).collect())
    }

    #[test]
    fn the_tables_name_or_else_its_folder_decides_the_split() {
        let (train, val, test) = (Some(Split::Train), Some(Split::Val), Some(Split::Test));
        for (path, split) in [
            ("train.csv", train),
            ("Faces-Val.csv", val),
            ("val_faces.csv", val),
            ("wider_val/annotations.csv", val),
            ("train/2024/annotations.csv", train),
            ("train/val.csv", val),
            ("trains/values.csv", None),
            ("test/_annotations.csv", test),
            ("annotations.csv", None),
            ("wider_face_split/wider_face_val_bbx_gt.txt", val),
        ] {
            assert_eq!(split_of(path), split, "{path}");
        }
    }

    #[test]
    fn without_validation_tables_the_seed_splits_all_but_the_test_pictures() {
        let (train, val, test) = (Some(Split::Train), Some(Split::Val), Some(Split::Test));
        assert_eq!(splits(&["a.csv", "train.csv"]).unwrap(), [None, None]);
        assert_eq!(splits(&["train.csv", "test.csv"]).unwrap(), [None, test]);
        assert_eq!(splits(&["a.csv", "test.csv", "val.csv"]).unwrap(), [train, test, val]);
    }

    #[test]
    fn archives_without_usable_tables_are_refused_with_what_is_expected() {
        let none = PlanError::NoTable { pictures: 9, unknown: None };
        assert_eq!(splits(&[]).unwrap_err(), none);
        assert_eq!(
            splits(&["val.csv"]).unwrap_err(),
            PlanError::NoTraining("validation", "val.csv".to_owned())
        );
        let error = read_all(
            &[LabelFile::new("sizes.csv".to_owned(), b"image_path,w\n")],
            1,
            &LabelOptions::default(),
            &mut Reporter::default(),
        );
        let text = error.unwrap_err().to_string();
        assert!(
            text.ends_with("image_path,x1,y1,w,h, but sizes.csv begins with \"image_path,w\""),
            "{text}"
        );
    }
}
