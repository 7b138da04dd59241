//! Classifies files by their extensions.

/// Extensions of pictures. Those in the last row cannot be read, and the report names such files.
const PICTURES: [&str; 23] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "apng", "webp", "bmp", "dib", "gif", "tif",
    "tiff", //
    "heic", "heif", "hif", "avif", "jxl", "jp2", "psd", "dng", "cr2", "nef", "arw",
];

/// Extensions of files that may hold labels.
const LABELS: [&str; 9] = ["csv", "tsv", "json", "xml", "txt", "yaml", "yml", "names", "pts"];

pub(super) fn is_picture(path: &str) -> bool {
    PICTURES.contains(&extension(path).as_str())
}

pub(super) fn is_label_file(path: &str) -> bool {
    LABELS.contains(&extension(path).as_str())
}

fn extension(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase()).unwrap_or_default()
}
