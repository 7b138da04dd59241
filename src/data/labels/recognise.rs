//! Recognises the format of a label file by its extension and content.

use super::cvat::cvat_format;
use super::format::{LabelFile, LabelFormat};
use super::label_studio::is_label_studio;
use super::labelme::is_labelme;
use super::points::is_points;
use super::retinaface::retinaface_format;
use super::wider::is_wider;
use super::yolo::is_yolo;

/// Returns the format of a label file; `None` for any other file. An empty text file counts as YOLO, where it stands
/// for a picture without objects.
pub(in crate::data) fn format_of(file: &LabelFile) -> Option<LabelFormat> {
    let LabelFile { path, text } = file;
    let extension = path.rsplit_once('.').map(|(_, extension)| extension.to_lowercase())?;
    match extension.as_str() {
        "csv" | "tsv" => Some(LabelFormat::Csv),
        "json" => json(text),
        "xml" if text.contains("<annotation>") => Some(LabelFormat::Voc),
        "xml" => cvat_format(text),
        "txt" if is_wider(text) => Some(LabelFormat::Wider),
        "txt" if is_yolo(text) => Some(LabelFormat::Yolo),
        "txt" => retinaface_format(text),
        "pts" => is_points(text).then_some(LabelFormat::Points),
        _ => None,
    }
}

fn json(text: &str) -> Option<LabelFormat> {
    let has = |key: &str| text.contains(key);
    match () {
        () if is_label_studio(text) => Some(LabelFormat::LabelStudio),
        () if has("\"annotations\"") && has("\"images\"") => Some(LabelFormat::Coco),
        () if is_labelme(text) => Some(LabelFormat::LabelMe),
        () => None,
    }
}
