//! Names in rows and the pictures that they mean.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::data::labels::{LabelFormat, LabelTable};
use crate::data::names::{Difference, Match, PictureNames};
use crate::data::plan_error::PlanError;
use crate::data::reporter::{Reporter, kinds};
use crate::data::tables::FaceTable;

type Matches<'t, 'p> = HashMap<&'t str, Match<'p>>;

/// Finds the pictures that a table's rows name.
pub(super) fn matches<'p>(
    names: &PictureNames<'p>,
    table: &FaceTable,
) -> HashMap<String, Match<'p>> {
    let written: BTreeSet<&str> =
        table.labels.rows.iter().map(|row| row.image_path.as_str()).collect();
    let folder = match table.labels.format {
        // Their paths are from the archive's root: each file gives the folder of its own picture.
        LabelFormat::Voc | LabelFormat::Yolo => "",
        _ => table.labels.folder(),
    };
    let found: Matches<'_, 'p> = names.find(folder, &written);
    found.into_iter().map(|(name, found)| (name.to_owned(), found)).collect()
}

/// Refuses labels if none of them is for a picture in the archive.
pub(super) fn refuse_other_pictures(
    tables: &[FaceTable],
    matches: &[HashMap<String, Match<'_>>],
    pictures: &BTreeSet<String>,
) -> Result<(), PlanError> {
    let mut all = matches.iter().flat_map(HashMap::values);
    let first = tables.iter().find_map(|table| Some((table, table.labels.rows.first()?)));
    let (Some((table, row)), Some(found), true) =
        (first, pictures.first(), all.all(|found| matches!(found, Match::Missing)))
    else {
        return Ok(());
    };
    let LabelTable { path, format, .. } = &table.labels;
    Err(PlanError::OtherPictures {
        table: format!("{path} ({format})"),
        pictures: pictures.len(),
        written: row.image_path.clone(),
        found: found.clone(),
        is_video: *format == LabelFormat::CvatVideo,
    })
}

/// Explains why no picture was found for a row.
pub(super) fn unfound(
    name: &str,
    found: &Match<'_>,
    names: &PictureNames<'_>,
    report: &Reporter,
) -> (&'static str, String) {
    if let Match::Ambiguous([first, second]) = found {
        let reason = format!("{name:?} could be either {first} or {second}; give the full path");
        return ("name of several pictures", reason);
    }
    // Comparing with every name is slow, and the report shows only a few of these problems.
    let nearest = if report.has_room(kinds::MISSING) { names.nearest(name) } else { None };
    let hint =
        nearest.map(|nearest| format!("; the nearest name is {nearest}")).unwrap_or_default();
    (kinds::MISSING, format!("the archive holds no picture {name:?}{hint}"))
}

/// Notes how many names were matched leniently, by kind.
pub(super) fn note_differences(
    table: &LabelTable,
    matches: &HashMap<String, Match<'_>>,
    report: &mut Reporter,
) {
    let mut by_kind: BTreeMap<Difference, (u64, &str, &str)> = BTreeMap::new();
    for (name, found) in matches {
        let Match::Found(path, difference) = found else { continue };
        let entry = by_kind.entry(*difference).or_insert((0, name, path));
        entry.0 += 1;
        if name.as_str() < entry.1 {
            (entry.1, entry.2) = (name, path);
        }
    }
    by_kind.remove(&Difference::None);
    for expected in table.format.expected_differences() {
        by_kind.remove(expected);
    }
    let table = &table.path;
    for (difference, (count, name, path)) in by_kind {
        let text = difference.text();
        report.note(format!("{count} names in {table} {text}: {name} was matched with {path}"));
    }
}
