//! Data sets that are exported and imported again.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};
use std::sync::Arc;

use blazetune::data::export::{Export, ExportFormat, ExportedPictures};
use blazetune::data::options::ImportOptions;
use blazetune::data::{Difficulty, ImportedDataset, Picture};
use blazetune::geometry::{Keypoints, Rect};
use image::{ImageFormat, Rgb, RgbImage};
use serde_json::Value;

use crate::support::{Files, Place, encoded, imported, zip};

/// Names that a format, a disk or an import may confuse, with sizes and splits.
const PICTURES: [(&str, [u32; 2], &str); 14] = [
    ("plain.png", [40, 30], "train"),
    ("cam 1/a.png", [640, 480], "train"),
    ("cam 2/a.png", [640, 427], "val"),
    ("cam 2/a.jpg", [641, 427], "val"),
    ("cam 2/a.2024.01.png", [33, 1000], "train"),
    ("cam 2/a.2024.bmp", [300, 301], "train"),
    ("Fußgänger & \"Söhne\"/it's <b>.jpg", [1000, 667], "test"),
    ("顔/1.png", [257, 255], "val"),
    ("images/labels/1 2 3 4 5.png", [500, 500], "train"),
    ("JPEGImages/Annotations/x.png", [123, 77], "test"),
    ("val/x.png", [124, 77], "train"),
    ("wider_val/0--Parade/x.png", [125, 77], "train"),
    ("%41/a;b,c.png", [64, 64], "train"),
    ("no faces.png", [90, 80], "val"),
];

/// The archive of [`PICTURES`], with everything that labels can say.
fn archive(pictures: &[(&str, [u32; 2], &str)]) -> Files {
    let points = ["right_eye", "left_eye", "nose", "mouth", "right_ear", "left_ear"];
    let points = points.iter().flat_map(|name| [format!("{name}_x"), format!("{name}_y")]);
    let mut header =
        ["image_path", "x1", "y1", "w", "h", "ignored", "difficulty"].map(str::to_owned).to_vec();
    header.extend(points);
    let mut tables: BTreeMap<&str, csv::Writer<Vec<u8>>> = BTreeMap::new();
    let mut all = Files::new();
    for (index, &(name, [width, height], split)) in pictures.iter().enumerate() {
        let table = tables.entry(split).or_insert_with(|| {
            let mut table = csv::Writer::from_writer(Vec::new());
            table.write_record(&header).unwrap();
            table
        });
        let at = |x: f32, y: f32| [x * width as f32, y * height as f32].map(|at| at.to_string());
        let mut row = |rect: Option<[f32; 4]>,
                       ignored: &str,
                       difficulty: &str,
                       points: &[Option<[f32; 2]>; 6]| {
            let mut row = vec![name.to_owned()];
            let [x, y, w, h] = rect.unwrap_or_default();
            let numbers = [at(x, y), at(w, h)].concat();
            row.extend(
                numbers
                    .into_iter()
                    .map(|number| if rect.is_some() { number } else { String::new() }),
            );
            row.extend([ignored.to_owned(), difficulty.to_owned()]);
            row.extend(
                points
                    .iter()
                    .flat_map(|point| point.map_or_else(Default::default, |[x, y]| at(x, y))),
            );
            table.write_record(&row).unwrap();
        };
        if name == "no faces.png" {
            row(None, "", "", &[None; 6]);
        } else {
            let shift = index as f32 / 100.0;
            let nose = Some([0.2 + shift, 0.25]);
            row(
                Some([0.1 + shift, 0.2, 0.3333, 0.25]),
                "",
                "hard",
                &[nose, None, nose, None, None, Some([0.4, 0.3])],
            );
            row(Some([0.0, 0.0, 1.0, 1.0]), "0", "", &[None; 6]);
        }
        if index % 3 == 0 {
            row(Some([0.7, 0.7, 0.123, 0.211]), "1", "", &[None; 6]);
        }
        all.push((name.to_owned(), drawn(index, width, height, name)));
    }
    all.extend(
        tables
            .into_iter()
            .map(|(split, table)| (format!("{split}.csv"), table.into_inner().unwrap())),
    );
    all
}

fn drawn(index: usize, width: u32, height: u32, name: &str) -> Vec<u8> {
    let picture = RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (x * 255 / width, y * 255 / height);
        Rgb([(index * 17) as u8, x as u8, ((x / 16 * 16) ^ y) as u8])
    });
    encoded(picture, ImageFormat::from_path(name.replace("Söhne\"/", "")).unwrap())
}

fn exported(
    dataset: ImportedDataset,
    format: ExportFormat,
    pictures: ExportedPictures,
) -> BTreeMap<String, Vec<u8>> {
    let mut bytes = Vec::new();
    let export = Export::new(Arc::new(dataset), "Söhne & Co", format, pictures).unwrap();
    export.write(&mut bytes).unwrap();
    let mut zip = ::zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut files = BTreeMap::new();
    for index in 0..zip.len() {
        let mut file = zip.by_index(index).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        let before = files.insert(file.name().to_owned(), bytes);
        assert!(before.is_none(), "{} is in the zip twice", file.name());
    }
    files
}

fn packed(files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    zip(&files.clone().into_iter().collect())
}

/// Whether a format says keypoints, places to ignore and difficulties.
fn says(format: ExportFormat) -> [bool; 3] {
    match format {
        ExportFormat::Csv => [true; 3],
        ExportFormat::Coco => [true, true, false],
        ExportFormat::Yolo => [true, false, false],
        ExportFormat::Wider => [false, true, false],
        ExportFormat::Voc => [false; 3],
    }
}

/// Checks that labels are within `pixels` of a picture of this size.
fn compare(a: &Picture, b: &Picture, [width, height]: [u32; 2], pixels: f32, says: [bool; 3]) {
    let (width, height) = (width as f32, height as f32);
    let near = |a: f32, b: f32, size: f32| {
        assert!((a - b).abs() * size <= pixels, "{a} {b} of {size} pixels");
    };
    let boxes = |a: &[Rect], b: &[Rect]| {
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(b) {
            for (a, b, size) in [
                (a.xmin, b.xmin, width),
                (a.xmax, b.xmax, width),
                (a.ymin, b.ymin, height),
                (a.ymax, b.ymax, height),
            ] {
                near(a, b, size);
            }
        }
    };
    let [says_keypoints, says_ignored, says_difficulty] = says;
    boxes(&a.faces, &b.faces);
    boxes(if says_ignored { &a.ignored } else { &[] }, &b.ignored);
    let difficulties: &[Option<Difficulty>] = if says_difficulty { &a.difficulties } else { &[] };
    assert_eq!(difficulties, b.difficulties);
    let keypoints: &[Keypoints] = if says_keypoints { &a.keypoints } else { &[] };
    assert_eq!(keypoints.len(), b.keypoints.len());
    for (a, b) in keypoints.iter().flatten().zip(b.keypoints.iter().flatten()) {
        assert_eq!(a.is_some(), b.is_some());
        if let (Some([ax, ay]), Some([bx, by])) = (a, b) {
            near(*ax, *bx, width);
            near(*ay, *by, height);
        }
    }
}

const SPLIT_TABLES: [&str; 3] = ["train.csv", "val.csv", "test.csv"];

/// Far less than the half pixel that we promise.
const PIXELS: f32 = 0.01;

#[test]
fn an_exported_zip_imports_as_it_is_with_the_same_pictures_splits_and_labels() {
    let first = archive(&PICTURES);
    for format in ExportFormat::ALL {
        let (_place, before) = imported(&zip(&first)).unwrap();
        assert_eq!(before.manifest.pictures.len(), PICTURES.len());
        let pixels: Vec<_> = (0..PICTURES.len()).map(|at| before.picture(at).unwrap()).collect();
        let old = before.manifest.clone();
        let files = exported(before, format, ExportedPictures::Cached);
        let (_place, after) = imported(&packed(&files)).unwrap();
        let report = &after.manifest.report;
        assert!(report.problems.is_empty() && report.notes.is_empty(), "{format:?}: {report:?}");
        assert_eq!(after.manifest.pictures.len(), PICTURES.len(), "{format:?}");
        let originals = String::from_utf8(files["originals.jsonl"].clone()).unwrap();
        for line in originals.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let is_it = |picture: &&Picture| line["original"] == picture.name.as_str();
            let index = old.pictures.iter().position(|picture| is_it(&picture)).unwrap();
            let is_it = |picture: &Picture| line["path"] == picture.name.as_str();
            let at = after.manifest.pictures.iter().position(is_it);
            let at = at.unwrap_or_else(|| panic!("{format:?}: {line}"));
            let (a, b) = (&old.pictures[index], &after.manifest.pictures[at]);
            assert_eq!((a.split, &line["width"]), (b.split, &a.width.into()), "{format:?} {line}");
            compare(a, b, [b.width, b.height], PIXELS, says(format));
            if format != ExportFormat::Voc {
                assert_eq!(pixels[index], after.picture(at).unwrap(), "{format:?}: {line}");
            }
        }
        assert_eq!(originals.lines().count(), PICTURES.len());
        let again = exported(after, format, ExportedPictures::Cached);
        let names =
            |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(names(&files), names(&again), "an export of an export: {format:?}");
    }
}

#[test]
fn exported_labels_fit_the_original_pictures_that_they_are_put_beside() {
    for format in ExportFormat::ALL {
        // YOLO cannot say which of two pictures it means if only their extensions differ.
        let is_sayable = |name: &str| format != ExportFormat::Yolo || name != "cam 2/a.jpg";
        let given: Vec<_> = PICTURES.into_iter().filter(|(name, ..)| is_sayable(name)).collect();
        let first = archive(&given);
        let (_place, before) = imported(&zip(&first)).unwrap();
        let old = before.manifest.clone();
        let mut files = exported(before, format, ExportedPictures::None);
        assert!(!files.contains_key("originals.jsonl"));
        let pictures = first.into_iter().filter(|(name, _)| !SPLIT_TABLES.contains(&name.as_str()));
        for (name, bytes) in pictures {
            assert!(files.insert(name, bytes).is_none());
        }
        let (_place, after) = imported(&packed(&files)).unwrap();
        let report = &after.manifest.report;
        assert!(report.problems.is_empty() && report.notes.is_empty(), "{format:?}: {report:?}");
        for (a, b) in old.pictures.iter().zip(&after.manifest.pictures) {
            assert_eq!((&a.name, a.width, a.height), (&b.name, b.width, b.height), "{format:?}");
            compare(a, b, [a.width, a.height], PIXELS, says(format));
            if !matches!(format, ExportFormat::Yolo | ExportFormat::Voc) {
                assert_eq!(a.split, b.split, "{format:?}: {}", a.name);
            }
        }
        assert_eq!(old.pictures.len(), after.manifest.pictures.len(), "{format:?}");
    }
}

#[test]
fn labels_that_yolo_cannot_pair_with_the_originals_are_refused() {
    let (_place, dataset) = imported(&zip(&archive(&PICTURES))).unwrap();
    let export = Export::new(Arc::new(dataset), "a", ExportFormat::Yolo, ExportedPictures::None);
    let text = export.unwrap_err().to_string();
    assert!(text.contains("cannot tell cam 2/a.jpg from cam 2/a.png;"), "{text}");
}

#[test]
fn the_readme_says_what_the_format_cannot_say() {
    let archive = zip(&archive(&PICTURES));
    for format in ExportFormat::ALL {
        let (_place, dataset) = imported(&archive).unwrap();
        let files = exported(dataset, format, ExportedPictures::Cached);
        let text = String::from_utf8(files["README.txt"].clone()).unwrap();
        assert!(text.starts_with("Söhne & Co\n"), "{text}");
        assert!(text.contains("train: 8 pictures, 16 faces"), "{text}");
        let [keypoints, ignored, difficulty] = says(format);
        for (says, what) in [
            (keypoints, "13 faces' keypoints"),
            (ignored, "5 ignored places. They are painted grey"),
            (difficulty, "13 faces' difficulties"),
        ] {
            assert_eq!(text.contains(what), !says, "{format:?}: {text}");
        }
    }
}

#[test]
fn an_export_that_cannot_be_written_ends_with_the_error() {
    struct Full(usize);
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let place = Place::with(&zip(&archive(&PICTURES)));
    place.import(&ImportOptions::default()).unwrap();
    let open = || Arc::new(ImportedDataset::open(&place.dir()).unwrap());
    let export =
        |dataset| Export::new(dataset, "a", ExportFormat::Coco, ExportedPictures::Cached).unwrap();
    let error = export(open()).write(Full(100_000)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    let cut = open();
    let cache = std::fs::File::options().write(true).open(place.dir().join("pictures.u8")).unwrap();
    cache.set_len(1000).unwrap();
    let error = export(cut).write(std::io::sink()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
}
