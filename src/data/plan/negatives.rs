//! Negatives: which pictures are known to show no face, and which split they are in.

use std::collections::BTreeMap;

use super::PlannedPicture;
use crate::data::manifest::Split;
use crate::data::reporter::Reporter;
use crate::data::tables::{self, FaceTable};

/// Leaves out pictures that may show unlabelled faces, since they are not negatives.
pub(super) fn leave_out_unknown(
    planned: &mut BTreeMap<String, PlannedPicture>,
    unmatched: u64,
    tables: &[FaceTable],
    report: &mut Reporter,
) {
    let mut without_rows = 0;
    planned.retain(|path, picture| {
        report.told.rows.empty += picture.empty_rows;
        let zeros = std::mem::take(&mut picture.zeros);
        if picture.faces.is_empty() {
            report.told.rows.empty += zeros.len() as u64;
        } else {
            for (table, row) in zeros {
                let reason =
                    "its box is 0,0,0,0, but other rows of its picture have faces".to_owned();
                report.lose_row("box without size", &tables[table].labels.path, row, reason);
            }
        }
        let is_unknown = picture.has_bad_rows && picture.faces.is_empty();
        if is_unknown {
            let reason = "none of its rows can be used; it was left out".to_owned();
            report.lose_file("picture without a usable row", path, reason);
        }
        let is_unnamed = !picture.has_rows && unmatched > 0;
        if is_unnamed {
            without_rows += 1;
            let reason = "has no row; it was left out, since it may show faces".to_owned();
            report.lose_file("picture without a row", path, reason);
        }
        !is_unknown && !is_unnamed
    });
    if without_rows > 0 {
        report.note(format!(
            "{without_rows} pictures without a row were left out: {unmatched} rows found no picture, so these pictures may show faces. A picture without a row counts as a negative only if every row finds its picture"
        ));
    }
}

/// Returns the split of a picture without a row: the one that its folders name, or else the one of the tables in the
/// innermost folder around it, if they agree.
pub(super) fn split_of_negative(path: &str, tables: &[FaceTable]) -> Option<Split> {
    let open = if tables.iter().any(|table| table.split == Some(Split::Val)) {
        Some(Split::Train)
    } else {
        None
    };
    if let Some(split) = tables::split_of_folders(path) {
        return if split == Split::Train { open } else { Some(split) };
    }
    let is_around = |table: &&FaceTable| {
        let folder = table.labels.folder();
        let rest = path.strip_prefix(folder);
        folder.is_empty() || rest.is_some_and(|rest| rest.starts_with('/'))
    };
    let around: Vec<&FaceTable> = tables.iter().filter(is_around).collect();
    let innermost = around.iter().map(|table| table.labels.folder().len()).max();
    let mut innermost =
        around.iter().filter(|table| Some(table.labels.folder().len()) == innermost);
    let first = innermost.next().and_then(|table| table.split);
    if innermost.all(|table| table.split == first) { first.or(open) } else { open }
}
