//! Pascal VOC XML: one file per picture, and `ImageSets/Main/{split}.txt`. With pictures, labels are in
//! `Annotations/{split}`; without, beside the original pictures.

use std::collections::HashSet;
use std::io::{self, Write};

use quick_xml::escape::escape;

use super::archive::ExportArchive;
use super::content::Content;
use super::format::{ExportedPictures, split_name};
use super::labelled::LabelledPicture;
use super::naming::{file_name, without_extension};

/// Writes the labels and the lists of the splits.
pub(super) fn write(content: &Content, archive: &mut ExportArchive<impl Write>) -> io::Result<()> {
    let mut stems = Stems::default();
    for split in content.splits() {
        let mut list = String::new();
        for picture in content.of_split(split) {
            let stem = stems.of(content.pictures, picture.path);
            let folder = match content.pictures {
                ExportedPictures::Cached => "Annotations/",
                ExportedPictures::None => "",
            };
            let out = archive.text(&format!("{folder}{stem}.xml"))?;
            write_xml(out, picture)?;
            list += &stem;
            list.push('\n');
        }
        let out = archive.text(&format!("ImageSets/Main/{}.txt", split_name(split)))?;
        out.write_all(list.as_bytes())?;
    }
    Ok(())
}

/// The names of the label files, without the extension and without the layout's folder.
#[derive(Default)]
struct Stems {
    taken: HashSet<String>,
}

impl Stems {
    fn of(&mut self, pictures: ExportedPictures, path: &str) -> String {
        let stem = without_extension(path);
        if pictures == ExportedPictures::Cached {
            return stem.strip_prefix("JPEGImages/").unwrap_or(stem).to_owned();
        }
        // Pictures may differ only in their extensions. The labels say which they belong to.
        let names = [stem, path].map(str::to_owned).into_iter();
        let numbered = (2..).map(|number| format!("{path}-{number}"));
        let free = names.chain(numbered).find(|name| self.taken.insert(name.to_lowercase()));
        free.unwrap_or_default() // One of infinitely many is free.
    }
}

fn write_xml(out: &mut dyn Write, picture: LabelledPicture<'_>) -> io::Result<()> {
    let LabelledPicture { path, width, height, .. } = picture;
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let (folder, file) = (escape(folder), escape(file_name(path)));
    writeln!(
        out,
        "<annotation>\n  <folder>{folder}</folder>\n  <filename>{file}</filename>\n  <size>\n    \
        <width>{width}</width>\n    <height>{height}</height>\n    <depth>3</depth>\n  </size>\n  \
        <segmented>0</segmented>"
    )?;
    for face in picture.faces() {
        let corners = face.corners;
        writeln!(
            out,
            "  <object>\n    <name>face</name>\n    <pose>Unspecified</pose>\n    \
            <truncated>0</truncated>\n    <difficult>0</difficult>\n    <bndbox>\n      \
            <xmin>{}</xmin>\n      <ymin>{}</ymin>\n      <xmax>{}</xmax>\n      \
            <ymax>{}</ymax>\n    </bndbox>\n  </object>",
            corners.left, corners.top, corners.right, corners.bottom
        )?;
    }
    writeln!(out, "</annotation>")
}
