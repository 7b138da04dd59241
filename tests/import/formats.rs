//! Labels in the formats that annotation tools write.

use std::fmt::Write;
use std::fs;

use blazetune::data::LabelOptions;
use serde_json::json;
use zip::CompressionMethod;

use crate::common::shared;
use crate::labels::{BOXES, corners, import_with, manifest};
use crate::support::{Files, csv, imported, png, refusal, zip, zip_by};

/// Six pictures of 40 × 30 pixels in a folder: four with [`BOXES`], two without a face.
fn pictures(folder: &str) -> Files {
    (0..6_u8).map(|number| (format!("{folder}{number}.png"), png(number * 40))).collect()
}

/// [`pictures`] with some text files.
fn with(folder: &str, texts: Vec<(String, String)>) -> Files {
    let texts = texts.into_iter().map(|(name, text)| (name, text.into_bytes()));
    pictures(folder).into_iter().chain(texts).collect()
}

fn coco(prefix: &str, path: &str) -> (String, String) {
    let images: Vec<_> = (0..6)
        .map(|n| json!({"id": n, "file_name": format!("{prefix}{n}.png"), "width": 40, "height": 30}))
        .collect();
    let annotations: Vec<_> = (0..4)
        .map(|n| {
            let [a, b, c, d] = BOXES[n];
            json!({"id": n, "image_id": n, "category_id": 1, "bbox": [a, b, c - a, d - b], "iscrowd": 0})
        })
        .collect();
    let categories =
        json!([{"id": 0, "name": "faces", "supercategory": "none"}, {"id": 1, "name": "face"}]);
    let text = json!({"images": images, "annotations": annotations, "categories": categories});
    (path.to_owned(), text.to_string())
}

fn voc(folder: &str) -> Vec<(String, String)> {
    let object = |number: usize| {
        let Some([a, b, c, d]) = BOXES.get(number) else { return String::new() };
        format!(
            "<object><name>face</name><difficult>0</difficult><bndbox><xmin>{a}</xmin><ymin>{b}</ymin>\
            <xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
        )
    };
    let file = |number: usize| {
        let text = format!(
            "<annotation><folder>x</folder><filename>{number}.png</filename><size><width>40</width>\
            <height>30</height><depth>3</depth></size>{}</annotation>",
            object(number)
        );
        (format!("{folder}{number}.xml"), text)
    };
    (0..6).map(file).collect()
}

fn yolo(folder: &str) -> Vec<(String, String)> {
    let line = |[a, b, c, d]: [f32; 4]| {
        let (x, y) = (f32::midpoint(a, c) / 40.0, f32::midpoint(b, d) / 30.0);
        format!("0 {x} {y} {} {}\n", (c - a) / 40.0, (d - b) / 30.0)
    };
    let text = |number: usize| BOXES.get(number).map_or_else(String::new, |corners| line(*corners));
    (0..6).map(|number| (format!("{folder}{number}.txt"), text(number))).collect()
}

fn wider(path: &str) -> (String, String) {
    let mut text = String::new();
    for number in 0..6 {
        let (count, [a, b, c, d]) =
            BOXES.get(number).map_or((0, [0.0; 4]), |corners| (1, *corners));
        writeln!(text, "0--Parade/{number}.png\n{count}\n{a} {b} {} {} 0 0 0 0 0 0 ", c - a, d - b)
            .unwrap();
    }
    (path.to_owned(), text)
}

#[test]
fn the_exports_of_annotation_tools_give_the_same_boxes() {
    let exports: Vec<(&str, Files)> = vec![
        ("Roboflow, COCO", with("", vec![coco("", "_annotations.coco.json")])),
        (
            "CVAT, COCO",
            with("images/default/", vec![coco("", "annotations/instances_default.json")]),
        ),
        ("FiftyOne, COCO", with("data/", vec![coco("", "labels.json")])),
        ("VOC", with("JPEGImages/", voc("Annotations/"))),
        ("Roboflow, VOC", with("", voc(""))),
        (
            "Ultralytics",
            with("images/train/", {
                let mut files = yolo("labels/train/");
                files.push((
                    "data.yaml".to_owned(),
                    "train: images/train\nnc: 1\nnames: ['face']\n".to_owned(),
                ));
                files
            }),
        ),
        ("Roboflow, YOLO", with("train/images/", yolo("train/labels/"))),
        (
            "CVAT, YOLO",
            with("obj_train_data/", {
                let mut files = yolo("obj_train_data/");
                files.push(("obj.names".to_owned(), "face\n".to_owned()));
                files.push(("train.txt".to_owned(), "data/obj_train_data/0.png\n".to_owned()));
                files
            }),
        ),
        (
            "WIDER FACE",
            with("WIDER_train/images/0--Parade/", vec![wider("wider_face_train_bbx_gt.txt")]),
        ),
    ];
    for (tool, files) in exports {
        let manifest = manifest(&files);
        assert_eq!(corners(&manifest), BOXES, "{tool}");
        let summary = manifest.summary();
        assert_eq!((summary.images, summary.negatives), (6, 2), "{tool}");
        assert!(manifest.report.problems.is_empty(), "{tool}: {:?}", manifest.report);
        assert!(manifest.report.notes.is_empty(), "{tool}: {:?}", manifest.report);
    }
}

#[test]
fn the_folders_of_an_export_decide_the_splits_of_its_pictures() {
    let mut all = Files::new();
    for (split, shift) in [("train", 0), ("valid", 1), ("test", 2)] {
        let names = pictures(&format!("{split}/")).into_iter().enumerate();
        all.extend(names.map(|(n, (name, _))| (name, png((n as u8) * 40 + shift))));
        let (name, text) = coco("", &format!("{split}/_annotations.coco.json"));
        all.push((name, text.into_bytes()));
    }
    let splits = manifest(&all).summary().splits;
    assert_eq!([splits.train.images, splits.val.images, splits.test.images], [6, 6, 6]);
}

#[test]
fn labels_beside_pictures_are_not_those_of_pictures_in_a_folder_of_the_same_name() {
    let all = crate::support::files(&[
        ("x/y/a.png", &png(10)),
        ("x/y/a.txt", b"0 .5 .5 .25 .5\n"),
        ("y/a.png", &png(90)),
        ("y/a.txt", b"0 .5 .5 .5 .5\n"),
    ]);
    let widths: Vec<_> = manifest(&all).pictures.iter().map(|p| p.faces[0].width()).collect();
    assert_eq!(widths, [0.25, 0.5]);
}

#[test]
fn labels_in_two_formats_are_refused() {
    let mut all = with("", vec![coco("", "_annotations.coco.json")]);
    all.push(("labels.csv".to_owned(), csv("0.png,1,1,9,9\n")));
    let text = refusal(&zip(&all));
    assert_eq!(
        text,
        "the archive holds labels in two formats: labels.csv (CSV) and _annotations.coco.json (COCO JSON); keep the \
        files of only one format"
    );
}

#[test]
fn a_broken_label_file_is_refused_with_the_position_of_the_error() {
    let all =
        with("", vec![("a.json".to_owned(), "{\"images\": [], \"annotations\": [}".to_owned())]);
    let text = refusal(&zip(&all));
    assert!(
        text.starts_with(
            "a.json cannot be read: it looks like COCO JSON, but expected value at line 1"
        ),
        "{text}"
    );
}

#[test]
fn ignored_faces_are_painted_over_and_are_neither_faces_nor_negatives() {
    let text =
        "0.png\n2\n2 2 8 8 0 0 0 0 0 0\n20 10 16 16 0 0 0 1 0 0\n1.png\n1\n2 2 8 8 0 0 0 0 0 0\n";
    let all: Files = vec![
        ("0.png".to_owned(), png(10)),
        ("1.png".to_owned(), png(90)),
        ("gt.txt".to_owned(), text.as_bytes().to_vec()),
    ];
    let (_place, dataset) = imported(&zip(&all)).unwrap();
    let picture = &dataset.manifest.pictures[0];
    assert_eq!((picture.faces.len(), picture.ignored.len()), (1, 1));
    assert_eq!(dataset.manifest.report.rows.ignored, 1);
    let pixels = dataset.picture(0).unwrap().unwrap();
    let scale = 256.0 / 40.0;
    let at = |x: f32, y: f32| pixels.get_pixel((x * scale) as u32, (y * scale) as u32).0;
    assert_eq!(at(28.0, 18.0), [127; 3], "in the ignored box");
    assert_ne!(at(6.0, 6.0), [127; 3], "in the face");
    assert_ne!(at(18.0, 18.0), [127; 3], "beside the ignored box");
}

#[test]
fn real_samples_of_coco_voc_and_wider_are_imported() {
    let Some(formats) = shared("data/formats") else { return };
    let all_categories =
        LabelOptions { face_categories: vec!["*".to_owned()], ..LabelOptions::default() };
    for (format, images, faces) in [("coco", 12, 92), ("voc", 12, 59), ("wider_txt", 12, 0)] {
        let mut all = Files::new();
        for file in walkdir::WalkDir::new(formats.join(format)) {
            let file = file.unwrap();
            if file.file_type().is_file() {
                let name = file.path().strip_prefix(&formats).unwrap().to_str().unwrap();
                all.push((name.to_owned(), fs::read(file.path()).unwrap()));
            }
        }
        let manifest = import_with(&all, all_categories.clone()).unwrap();
        let summary = manifest.summary();
        assert_eq!(summary.images, images, "{format}: {:?}", manifest.report);
        assert!(faces == 0 || summary.faces == faces, "{format}: {:?}", manifest.report);
        assert!(
            summary.faces > 12 && manifest.report.problems.is_empty(),
            "{format}: {:?}",
            manifest.report
        );
        if format != "wider_txt" {
            let text = refusal(&zip_by(CompressionMethod::Stored, &all));
            assert!(text.contains("categories") && text.contains("?face_categories="), "{text}");
        }
    }
}
