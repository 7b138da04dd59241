//! Where each picture goes in the zip, so that no two get in each other's way in any format or on any disk.

use std::collections::{HashMap, HashSet};

use unicode_normalization::UnicodeNormalization;

use super::format::ExportFormat;
use crate::data::extensions::is_picture;
use crate::data::manifest::Picture;
use crate::data::tables::split_of_folders;

/// Folders that an export or a label format has for its own purposes.
const LAYOUT: [&str; 4] = ["images", "labels", "jpegimages", "annotations"];

/// Returns the path of each picture in the zip: the folder of its split, then its own folders and name. Folders that
/// name a split or belong to a layout are left out, since they would contradict the zip's own. Names that differ only
/// in letter case, in how accents are composed or in the extension get a number.
pub(super) fn paths(pictures: &[Picture], format: ExportFormat) -> Vec<String> {
    let wanted: Vec<String> = pictures.iter().map(|picture| plain(&picture.name)).collect();
    // Pictures that can keep their names get them first.
    let has_to_change = |index: &usize| {
        let extension = wanted[*index].rsplit_once('.').map(|(_, extension)| extension);
        extension != Some(format.extension())
    };
    let mut order: Vec<usize> = (0..pictures.len()).collect();
    order.sort_by_key(has_to_change);
    let mut paths = vec![String::new(); pictures.len()];
    let mut names = Names { format, taken: HashSet::new(), numbers: HashMap::new() };
    for index in order {
        let name = wanted[index].as_str();
        let stem = names.free(if is_picture(name) { without_extension(name) } else { name });
        let folder = format.picture_folder(pictures[index].split);
        paths[index] = format!("{folder}/{stem}.{}", format.extension());
    }
    paths
}

/// The names that are taken.
struct Names {
    format: ExportFormat,
    taken: HashSet<String>,
    /// The number that each name got last.
    numbers: HashMap<String, u32>,
}

impl Names {
    /// Takes a name, or if it is taken already, the name with a number.
    fn free(&mut self, stem: &str) -> String {
        let mut number = *self.numbers.entry(self.key(stem)).or_default();
        loop {
            number += 1;
            let name = if number == 1 { stem.to_owned() } else { format!("{stem}-{number}") };
            if self.taken.insert(self.key(&name)) {
                self.numbers.insert(self.key(stem), number);
                return name;
            }
        }
    }

    /// Returns what is equal for names that a disk or an import may confuse.
    fn key(&self, stem: &str) -> String {
        folded(if self.format.needs_unique_files() { file_name(stem) } else { stem })
    }
}

/// Returns the first two paths that differ only in their extensions, if there are any.
pub(super) fn same_stem(paths: &[String]) -> Option<(&str, &str)> {
    let mut seen = HashMap::new();
    paths.iter().find_map(|path| {
        let first = seen.insert(folded(without_extension(path)), path.as_str());
        first.map(|first| (first, path.as_str()))
    })
}

/// Returns a path without line ends and other control characters, which XML and lists of paths cannot hold.
pub(super) fn one_line(path: &str) -> String {
    path.replace(char::is_control, "_")
}

/// Returns a path without its last extension.
pub(super) fn without_extension(path: &str) -> &str {
    match path.rsplit_once('.') {
        Some((stem, extension)) if !extension.contains('/') => stem,
        _ => path,
    }
}

/// Returns the last part of a path.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Returns a path without folders that would contradict those of the zip, and with parts that any disk accepts.
fn plain(path: &str) -> String {
    let path = one_line(path);
    let (folders, file) = path.rsplit_once('/').unwrap_or(("", &path));
    let is_own = |folder: &&str| {
        !folder.is_empty()
            && !LAYOUT.contains(&folder.to_lowercase().as_str())
            && split_of_folders(&format!("{folder}/")).is_none()
    };
    let parts = folders.split('/').filter(is_own).chain([file]);
    let parts: Vec<String> = parts.map(storable).collect();
    parts.join("/")
}

/// Returns a part of a path as any disk and any table stores it: tables lose spaces at the ends, Windows loses dots at
/// the end, and an import skips hidden files.
fn storable(part: &str) -> String {
    let part = part.trim().trim_end_matches(['.', ' ']);
    match part.strip_prefix('.') {
        Some(rest) => format!("_{rest}"),
        None if part.is_empty() => "_".to_owned(),
        None => part.to_owned(),
    }
}

fn folded(path: &str) -> String {
    path.to_lowercase().nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::manifest::Split;
    use crate::geometry::Letterbox;

    fn exported(names: &[(&str, Split)], format: ExportFormat) -> Vec<String> {
        let picture = |&(name, split): &(&str, Split)| Picture {
            name: name.to_owned(),
            split,
            width: 40,
            height: 30,
            letterbox: Letterbox::exact(40, 30, 256),
            faces: Vec::new(),
            ignored: Vec::new(),
            keypoints: Vec::new(),
            difficulties: Vec::new(),
        };
        paths(&names.iter().map(picture).collect::<Vec<_>>(), format)
    }

    #[test]
    fn folders_are_kept_except_those_that_contradict_the_layout() {
        use Split::{Test, Train, Val};
        let names = [
            ("a.jpg", Train),
            ("cam 1/Ünï & \"b'.jpeg", Val),
            ("train/images/0--Parade/c.png", Val),
            ("WIDER_val/images/d.png", Test),
            ("labels/e.f.png", Train),
        ];
        let expected = [
            "images/train/a.png",
            "images/val/cam 1/Ünï & \"b'.png",
            "images/val/0--Parade/c.png",
            "images/test/d.png",
            "images/train/e.f.png",
        ];
        assert_eq!(exported(&names, ExportFormat::Coco), expected);
        assert_eq!(exported(&names[..1], ExportFormat::Voc), ["JPEGImages/train/a.jpg"]);
        assert_eq!(exported(&names[..1], ExportFormat::Wider), ["WIDER_train/images/a.png"]);
    }

    #[test]
    fn an_export_of_an_export_has_the_same_paths() {
        for format in ExportFormat::ALL {
            let names = [("cam 1/a.jpg", Split::Train), ("cam 1/a.png", Split::Train)];
            let first = exported(&names, format);
            let again: Vec<_> = first.iter().map(|path| (path.as_str(), Split::Train)).collect();
            assert_eq!(exported(&again, format), first);
        }
    }

    #[test]
    fn names_that_can_be_confused_get_numbers_and_unchanged_names_are_kept() {
        use Split::{Train, Val};
        let names =
            [("a.bmp", Train), ("a.jpg", Train), ("a.png", Train), ("A.JPG", Train), ("b/a", Val)];
        let expected = ["a-2.png", "a-3.png", "a.png", "A-4.png"];
        let paths = exported(&names, ExportFormat::Yolo);
        assert_eq!(paths[..4], expected.map(|name| format!("images/train/{name}")));
        assert_eq!(paths[4], "images/val/b/a.png");
        assert_eq!(exported(&names, ExportFormat::Wider)[4], "WIDER_val/images/b/a-5.png");
        let names = [("e\u{301}.png", Train), ("é.png", Train)];
        assert_eq!(exported(&names, ExportFormat::Coco)[1], "images/train/é-2.png");
    }

    #[test]
    fn parts_that_a_disk_or_a_table_would_change_are_changed_here() {
        let names =
            [(" a .jpg", Split::Train), ("b. /c\n.png", Split::Train), ("d/ .e", Split::Train)];
        let expected = ["images/train/a .png", "images/train/b/c_.png", "images/train/d/_e.png"];
        assert_eq!(exported(&names, ExportFormat::Csv), expected);
    }
}
