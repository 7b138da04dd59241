//! The lists of easy, medium and hard faces that belong to WIDER FACE's evaluation. They are not read.

use super::reporter::Reporter;

/// The kind of files in the report.
const KIND: &str = "difficulty list of WIDER FACE";

/// Whether a file is one of the lists: `wider_easy_val.mat`, for example.
pub(super) fn is_list(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_lowercase();
    let stem = name.rsplit_once('.').map_or(&*name, |(stem, _)| stem);
    let middle = stem.strip_prefix("wider_").and_then(|rest| rest.strip_suffix("_val"));
    matches!(middle, Some("easy" | "medium" | "hard" | "face"))
}

/// Counts a list that was left out.
pub(super) fn leave_out(report: &mut Reporter) {
    report.told.files.lose(KIND, 1);
}

/// Adds a note if lists were left out.
pub(super) fn note(report: &mut Reporter) {
    if let Some(count) = report.told.files.left_out.get(KIND) {
        let text = format!(
            "{count} difficulty lists of WIDER FACE were not used; a CSV may state each face's list in a column difficulty"
        );
        report.note(text);
    }
}
