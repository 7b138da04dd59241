//! Matches names in tables with pictures, even if the two are spelt differently.

mod difference;
mod spelling;

pub(super) use self::difference::Difference;
pub(super) use self::spelling::from_cp437;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use self::spelling::{
    alternatives, folded, legacy, parts, stems, without_extension, without_upload_prefix,
};

/// What the search for a name found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Match<'a> {
    /// The picture's path in the archive.
    Found(&'a str, Difference),
    /// Two of the pictures that the name may mean.
    Ambiguous([&'a str; 2]),
    /// No picture matches.
    Missing,
}

/// An index of pictures by name.
pub(super) struct PictureNames<'a> {
    pictures: &'a BTreeSet<String>,
    spelt: Index<'a>,
    /// The same pictures, with their names read in other encodings.
    respelt: Index<'a>,
}

impl<'a> PictureNames<'a> {
    pub(super) fn new(pictures: &'a BTreeSet<String>) -> Self {
        let (mut spelt, mut respelt) = (Index::default(), Index::default());
        for path in pictures {
            spelt.add(path, path);
            for other in legacy(path) {
                respelt.add(&other, path);
            }
        }
        Self { pictures, spelt, respelt }
    }

    /// Finds the pictures of one table.
    ///
    /// * `folder`: the table's folder.
    /// * `written`: the names in its rows.
    pub(super) fn find<'w>(
        &self,
        folder: &str,
        written: &BTreeSet<&'w str>,
    ) -> HashMap<&'w str, Match<'a>> {
        let mut found: HashMap<&str, Match<'a>> = HashMap::new();
        // For each folder whose pictures were found by full path: the ways in which the rows spell the folder.
        let mut owners: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for &name in written {
            if let Some(matched) = self.whole(folder, name) {
                if let Match::Found(picture, _) = matched {
                    let (of_picture, _) = parted(&folded(picture));
                    owners.entry(of_picture).or_default().insert(parted(&folded(name)).0);
                }
                found.insert(name, matched);
            }
        }
        for &name in written {
            if !found.contains_key(name) {
                found.insert(name, self.by_ending(name, &owners));
            }
        }
        found
    }

    /// Finds a picture by its whole path, from the table's folder, the archive's root or the `images` folder beside the
    /// table.
    fn whole(&self, folder: &str, name: &str) -> Option<Match<'a>> {
        let plain = name.replace('\\', "/");
        let images = join(folder, "images").unwrap_or_default();
        let paths = [
            (join(folder, &plain), Difference::None),
            (join("", &plain), Difference::None),
            (join(&images, &plain), Difference::Folder),
        ];
        for (path, difference) in &paths {
            if let Some(path) = path.as_ref().and_then(|path| self.pictures.get(path)) {
                return Some(Match::Found(path, *difference));
            }
        }
        let paths: Vec<String> = paths.into_iter().filter_map(|(path, _)| path).collect();
        let by = |index: &Index<'a>, paths: &[String], as_spelt: Option<Difference>| {
            let spelt = paths.iter().find_map(|path| {
                only(index.whole.get(&folded(path))?, as_spelt.unwrap_or(Difference::Case))
            });
            spelt.or_else(|| {
                let keys = paths.iter().flat_map(|path| {
                    let key = folded(path);
                    stems(&key).map(str::to_owned)
                });
                let found = keys.filter_map(|key| index.stems.get(&key));
                found
                    .into_iter()
                    .find_map(|paths| only(paths, as_spelt.unwrap_or(Difference::Extension)))
            })
        };
        by(&self.spelt, &paths, None)
            .or_else(|| by(&self.respelt, &paths, Some(Difference::Encoding)))
            .or_else(|| {
                let others: Vec<String> =
                    paths.iter().flat_map(|path| alternatives(path)).collect();
                by(&self.spelt, &others, Some(Difference::Encoding))
            })
    }

    /// Finds a picture by the longest common ending of the paths.
    fn by_ending(&self, name: &str, owners: &BTreeMap<String, BTreeSet<String>>) -> Match<'a> {
        let mut tried = vec![(&self.spelt, folded(name), Difference::Folder)];
        tried.push((&self.respelt, folded(name), Difference::Encoding));
        tried.extend(
            alternatives(name).map(|other| (&self.spelt, folded(&other), Difference::Encoding)),
        );
        let without = without_upload_prefix(name);
        tried.extend(without.map(|other| (&self.spelt, folded(&other), Difference::Prefix)));
        for (index, name, difference) in tried {
            match index.by_ending(&name, owners) {
                Match::Found(path, _) => return Match::Found(path, difference),
                Match::Missing => {}
                ambiguous @ Match::Ambiguous(_) => return ambiguous,
            }
        }
        Match::Missing
    }

    /// Returns the picture with the name most like `name`, as a suggestion if no picture was found.
    pub(super) fn nearest(&self, name: &str) -> Option<&'a str> {
        let (_, wanted) = parted(&folded(name));
        let likeness = |path: &str| strsim::jaro_winkler(&parted(&folded(path)).1, &wanted);
        let pictures = self.pictures.iter().take(MOST_COMPARED);
        let ranked = pictures.map(|path| (likeness(path), path.as_str()));
        ranked.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, path)| path)
    }
}

/// How many pictures [`PictureNames::nearest`] compares with, so that reports on large data sets are fast.
const MOST_COMPARED: usize = 10_000;

/// Pictures by the parts of their folded paths.
#[derive(Default)]
struct Index<'a> {
    whole: HashMap<String, Vec<&'a str>>,
    stems: HashMap<String, Vec<&'a str>>,
    /// Folded paths and pictures, by file name.
    files: HashMap<String, Vec<(String, &'a str)>>,
    /// Folded paths and pictures, by file name without its extension.
    file_stems: HashMap<String, Vec<(String, &'a str)>>,
}

impl<'a> Index<'a> {
    fn add(&mut self, spelling: &str, path: &'a str) {
        let key = folded(spelling);
        let (_, file) = parted(&key);
        let stem = without_extension(&file).to_owned();
        self.stems.entry(without_extension(&key).to_owned()).or_default().push(path);
        self.whole.entry(key.clone()).or_default().push(path);
        self.files.entry(file).or_default().push((key.clone(), path));
        self.file_stems.entry(stem).or_default().push((key, path));
    }

    fn by_ending(&self, name: &str, owners: &BTreeMap<String, BTreeSet<String>>) -> Match<'a> {
        let (folder, file) = parted(name);
        let stems = stems(&file).map(|stem| self.file_stems.get(stem));
        for candidates in [self.files.get(&file)].into_iter().chain(stems).flatten() {
            let mut best: (usize, Vec<&'a str>) = (0, Vec::new());
            for (key, path) in candidates {
                let (of_picture, _) = parted(key);
                let common = common_ending(&folder, &of_picture);
                let has_rest = |folder: &str| parts(folder).count() > common;
                // Other rows name this folder by its whole path, so a row that names another folder does not mean it.
                let is_owned =
                    owners.get(&of_picture).is_some_and(|owners| !owners.contains(&folder));
                if has_rest(&folder) && has_rest(&of_picture) && is_owned {
                    continue;
                }
                match common.cmp(&best.0) {
                    std::cmp::Ordering::Greater => best = (common, vec![path]),
                    std::cmp::Ordering::Equal => best.1.push(path),
                    std::cmp::Ordering::Less => {}
                }
            }
            match best.1[..] {
                [] => {}
                [path] => return Match::Found(path, Difference::Folder),
                [first, second, ..] => return Match::Ambiguous([first, second]),
            }
        }
        Match::Missing
    }
}

/// Returns the picture if there is only one, or two of them if there are several; `None` if there is none.
fn only<'a>(paths: &[&'a str], difference: Difference) -> Option<Match<'a>> {
    match paths[..] {
        [] => None,
        [path] => Some(Match::Found(path, difference)),
        [first, second, ..] => Some(Match::Ambiguous([first, second])),
    }
}

/// Splits a path into folder and file name.
fn parted(path: &str) -> (String, String) {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    (folder.to_owned(), file.to_owned())
}

/// Returns how many folders two paths share at their ends.
fn common_ending(a: &str, b: &str) -> usize {
    let (a, b): (Vec<_>, Vec<_>) = (parts(a).collect(), parts(b).collect());
    a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count()
}

/// Joins a path to a folder; `None` if it leads outside the archive.
fn join(folder: &str, path: &str) -> Option<String> {
    let mut joined = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(joined.pop()?),
            part => joined.push(part),
        }
    }
    Some(joined.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what the names in a table in `folder` match, in the order of `names`.
    fn found(folder: &str, names: &[&str], pictures: &[&str]) -> Vec<Option<(String, Difference)>> {
        let pictures: BTreeSet<String> = pictures.iter().map(ToString::to_string).collect();
        let written: BTreeSet<&str> = names.iter().copied().collect();
        let matches = PictureNames::new(&pictures).find(folder, &written);
        names
            .iter()
            .map(|name| match matches[name] {
                Match::Found(path, difference) => Some((path.to_owned(), difference)),
                _ => None,
            })
            .collect()
    }

    fn one(name: &str, pictures: &[&str]) -> Option<Difference> {
        let found = found("", &[name], pictures).remove(0)?;
        assert_eq!(found.0, pictures[0], "{name}");
        Some(found.1)
    }

    #[test]
    fn paths_are_relative_to_the_table_or_to_the_root() {
        let names = ["./a.jpg", "../images/b.jpg", "images\\c.jpg", "/images/d.jpg"];
        let pictures = ["labels/a.jpg", "images/b.jpg", "images/c.jpg", "images/d.jpg"];
        for (found, picture) in found("labels", &names, &pictures).into_iter().zip(pictures) {
            assert_eq!(found, Some((picture.to_owned(), Difference::None)));
        }
    }

    #[test]
    fn the_images_folder_beside_a_table_belongs_to_it() {
        let pictures = ["train/images/a.jpg", "val/images/a.jpg", "val/b.jpg", "val/images/b.jpg"];
        let found = found("val", &["a.jpg", "b.jpg"], &pictures);
        let expected = [(pictures[1], Difference::Folder), (pictures[2], Difference::None)];
        assert_eq!(found, expected.map(|(path, difference)| Some((path.to_owned(), difference))));
    }

    #[test]
    fn names_that_differ_in_case_accents_extension_or_folder_are_matched() {
        use Difference::{Case, Encoding, Extension, Folder};
        for (name, picture, difference) in [
            ("i/a.jpg", "i/A.JPG", Case),
            ("i/e\u{301}.jpg", "i/é.jpg", Case),
            ("i/a.png", "i/a.jpg", Extension),
            ("i/a", "i/a.jpg", Extension),
            ("i/a.jpg.png", "i/a.jpg.jpg", Extension),
            ("a.jpg", "deep/i/a.jpg", Folder),
            ("a", "deep/i/A.JPG", Folder),
            ("i/a.1", "i/a.1.jpg", Extension),
            ("a.1", "i/a.1.jpg", Folder),
            ("C:\\Users\\ann\\i\\a.jpg", "i/a.jpg", Folder),
            ("/home/ann/i/a.jpg", "set-2/i/a.jpg", Folder),
            ("images/a.jpg", "pictures/a.jpg", Folder),
            ("Fußgänger.jpg", "Fu\u{df}g\u{e4}nger.jpg", Difference::None),
            ("FuÃŸgÃ¤nger.jpg", "Fußgänger.jpg", Encoding),
            ("upload/1/0a1b2c3d-a-b.jpg", "i/a-b.jpg", Difference::Prefix),
            ("upload/1/0a1b2c3d-a-b.jpg", "i/0a1b2c3d-a-b.jpg", Folder),
        ] {
            assert_eq!(one(name, &[picture]), Some(difference), "{name}");
        }
    }

    #[test]
    fn the_longest_common_ending_wins_and_a_tie_matches_nothing() {
        let pictures = ["cam1/01.jpg", "cam2/01.jpg"];
        let found = |name| found("", &[name], &pictures).remove(0).map(|(path, _)| path);
        assert_eq!(found("/home/ann/cam2/01.jpg").as_deref(), Some("cam2/01.jpg"));
        assert_eq!(found("01.jpg"), None);
        assert_eq!(found("cam3/01.jpg"), None);
        assert_eq!(one("i/a.jpg", &["i/A.jpg", "i/a.JPG"]), None, "either may be meant");
    }

    #[test]
    fn a_row_for_a_missing_picture_does_not_match_one_in_another_folder() {
        let pictures = ["train/01.jpg", "train/02.jpg"];
        let names = ["train/01.jpg", "val/02.jpg"];
        assert_eq!(found("", &names, &pictures)[1], None, "another row names train");
        let names = ["old/01.jpg", "old/02.jpg"];
        assert!(found("", &names, &pictures).iter().all(Option::is_some), "the folder was renamed");
    }

    #[test]
    fn names_of_entries_in_a_legacy_encoding_are_matched() {
        // Bytes in Windows-1252 and Shift JIS, which a zip reader takes for CP437.
        for (name, bytes) in
            [("Fußgänger.jpg", &b"Fu\xdfg\xe4nger.jpg"[..]), ("顔.jpg", b"\x8a\xe7.jpg")]
        {
            let picture = from_cp437(bytes);
            assert_eq!(one(name, &[&picture]), Some(Difference::Encoding), "{picture}");
        }
    }

    #[test]
    fn the_nearest_name_is_suggested_if_none_matches() {
        let pictures: BTreeSet<String> =
            ["i/party-01.jpg", "i/street.jpg"].map(str::to_owned).into();
        assert_eq!(PictureNames::new(&pictures).nearest("i/partie-01.jpg"), Some("i/party-01.jpg"));
    }
}
