//! Which format a label file has, told by its content.

use super::format::{LabelFile, LabelFormat};
use super::wider::is_wider;
use super::yolo::is_yolo;

/// The format of a file; `None` for anything else. An empty text file may be YOLO's for a picture without objects.
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
