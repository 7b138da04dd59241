//! Recognises the format of a label file by its extension and content.

use super::format::{LabelFile, LabelFormat};
use super::wider::is_wider;
use super::yolo::is_yolo;

/// Returns the format of a label file; `None` for any other file. An empty text file counts as YOLO: there, it stands
/// for a picture without objects.
pub(in crate::data) fn format_of(file: &LabelFile) -> Option<LabelFormat> {
    let LabelFile { path, text } = file;
    let extension = path.rsplit_once('.').map(|(_, extension)| extension.to_lowercase())?;
    match extension.as_str() {
        "csv" | "tsv" => Some(LabelFormat::Csv),
        "json" => (text.contains("\"annotations\"") && text.contains("\"images\""))
            .then_some(LabelFormat::Coco),
        "xml" => text.contains("<annotation>").then_some(LabelFormat::Voc),
        "txt" if is_wider(text) => Some(LabelFormat::Wider),
        "txt" if is_yolo(text) => Some(LabelFormat::Yolo),
        _ => None,
    }
}
