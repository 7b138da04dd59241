//! Labels as annotation tools and public face data sets write them: CVAT, `LabelMe`, Label Studio, `RetinaFace`, SCRFD
//! and 300-W.

use std::fmt::Write;

use blazetune::data::Manifest;
use serde_json::{Value, json};

use crate::labels::{BOXES, corners, manifest};
use crate::support::{Files, csv, png, refusal, zip};

/// Six pictures of 40 × 30 pixels: the first four have the faces [`BOXES`], the others none.
fn with(names: impl Fn(usize) -> String, texts: Vec<(String, String)>) -> Files {
    let pictures = (0..6).map(|number| (names(number), png(number as u8 * 40)));
    pictures.chain(texts.into_iter().map(|(name, text)| (name, text.into_bytes()))).collect()
}

fn named(folder: &str) -> impl Fn(usize) -> String {
    move |number| format!("{folder}{number}.png")
}

/// The face of a picture: left, top, right and bottom.
fn face(number: usize) -> Option<[f32; 4]> {
    BOXES.get(number).copied()
}

/// Imports an export without options, and checks its boxes and that the import has nothing to complain about.
fn check(tool: &str, files: &Files) -> Manifest {
    let manifest = manifest(files);
    assert_eq!(corners(&manifest), BOXES, "{tool}");
    let exact =
        manifest.pictures.iter().filter_map(|picture| Some((picture, picture.faces.first()?)));
    for ((picture, face), expected) in exact.zip(BOXES) {
        let [top, left, bottom, right] = (*face).into();
        let size = [picture.width, picture.height].map(|side| side as f32);
        let pixels = [left * size[0], top * size[1], right * size[0], bottom * size[1]];
        let is_near = pixels.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 0.5);
        assert!(is_near, "{tool}: {pixels:?} instead of {expected:?}");
    }
    let summary = manifest.summary();
    assert_eq!((summary.images, summary.faces, summary.negatives), (6, 4, 2), "{tool}");
    assert!(manifest.report.problems.is_empty(), "{tool}: {:?}", manifest.report);
    assert!(manifest.report.notes.is_empty(), "{tool}: {:?}", manifest.report);
    manifest
}

/// The keypoints of the first face, in pixels.
fn keypoints(manifest: &Manifest) -> Vec<Option<[f32; 2]>> {
    let picture = manifest.pictures.iter().find(|picture| !picture.faces.is_empty()).unwrap();
    let scaled = |[x, y]: [f32; 2]| [(x * 40.0).round(), (y * 30.0).round()];
    picture.keypoints.first().unwrap().iter().map(|at| at.map(scaled)).collect()
}

fn cvat_document(body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<annotations>\n  <version>1.1</version>\n  <meta>\n    <task>\n\
         <id>7</id><name>faces</name><size>6</size><mode>annotation</mode><labels><label><name>face</name>\
         <type>rectangle</type><attributes></attributes></label></labels>\n    </task>\n\
         <dumped>2024-05-01 10:00:00.000000+00:00</dumped>\n  </meta>\n{body}</annotations>\n"
    )
}

fn cvat_box([a, b, c, d]: [f32; 4], more: &str) -> String {
    format!(
        "<box {more}occluded=\"0\" xtl=\"{a:.2}\" ytl=\"{b:.2}\" xbr=\"{c:.2}\" ybr=\"{d:.2}\" z_order=\"0\">\n</box>\n"
    )
}

fn cvat_images(subset: impl Fn(usize) -> &'static str) -> String {
    let image = |number: usize| {
        let shape = face(number).map(|face| cvat_box(face, "label=\"face\" source=\"manual\" "));
        format!(
            "  <image id=\"{number}\" name=\"{number}.png\"{} width=\"40\" height=\"30\">\n{}  </image>\n",
            subset(number),
            shape.unwrap_or_default()
        )
    };
    let images = (0..6).map(image).collect::<Vec<_>>().concat();
    cvat_document(&images)
}

#[test]
fn cvats_xml_gives_the_boxes_of_its_pictures() {
    let xml = |folder: &str| vec![(format!("{folder}annotations.xml"), cvat_images(|_| ""))];
    check("CVAT", &with(named("images/"), xml("")));
    check("CVAT, in a folder", &with(named("task/images/"), xml("task/")));
    check("CVAT, beside the pictures", &with(named("task/"), xml("task/")));
}

#[test]
fn the_subsets_of_a_cvat_project_are_splits() {
    let is_val = |number: usize| number % 2 == 1;
    let folder = |number| if is_val(number) { "Validation" } else { "Train" };
    let subset =
        |number| if is_val(number) { " subset=\"Validation\"" } else { " subset=\"Train\"" };
    let names = |number| format!("images/{}/{number}.png", folder(number));
    let xml = vec![("annotations.xml".to_owned(), cvat_images(subset))];
    let summary = manifest(&with(names, xml)).summary();
    assert_eq!((summary.splits.train.images, summary.splits.val.images), (3, 3));
}

#[test]
fn the_tracks_of_a_cvat_video_give_the_boxes_of_its_frames() {
    let frame = |number: usize| format!("images/frame_{:06}.PNG", number * 5);
    let xml = |shapes: &str| {
        let track =
            format!("  <track id=\"0\" label=\"face\" source=\"manual\">\n{shapes}  </track>\n");
        vec![("annotations.xml".to_owned(), cvat_document(&track))]
    };
    let shape = |number: usize| {
        let more =
            |outside| format!("frame=\"{}\" outside=\"{outside}\" keyframe=\"1\" ", number * 5);
        match face(number) {
            Some(face) => cvat_box(face, &more(0)),
            None => cvat_box(BOXES[3], &more(1)),
        }
    };
    let shapes: Vec<String> = (0..5).map(shape).collect();
    let manifest = check("CVAT for video", &with(frame, xml(&shapes.concat())));
    assert_eq!(manifest.pictures[5].name, "images/frame_000025.PNG");
    let gap = [shapes[0].as_str(), &shapes[1], &shapes[3]].concat();
    assert_eq!(
        refusal(&zip(&with(frame, xml(&gap)))),
        "annotations.xml cannot be read: the track of the shapes in lines 13 and 15 leaves out the frames between 5 and \
        15; export it from CVAT as \"CVAT for images 1.1\", which has the shapes of every frame"
    );
    let text = refusal(&zip(&with(named("images/"), xml(&shapes.concat()))));
    assert_eq!(
        text,
        "annotations.xml (CVAT for video XML) names none of the archive's 6 pictures: it is for \"images/frame_000000\" \
        and others, but there are images/0.png and others; export the video from CVAT with its pictures (\"Save \
        images\"), or as \"CVAT for images 1.1\""
    );
}

fn labelme(folder: &str, image: impl Fn(usize) -> String, data: &Value) -> Vec<(String, String)> {
    let file = |number: usize| {
        let shape = |[a, b, c, d]: [f32; 4]| {
            json!({"label": "face", "points": [[c, b], [a, d]], "group_id": null, "description": "",
                   "shape_type": "rectangle", "flags": {}, "mask": null})
        };
        let shapes: Vec<Value> = face(number).map(shape).into_iter().collect();
        let text = json!({"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": image(number),
                          "imageData": data, "imageHeight": 30, "imageWidth": 40});
        (format!("{folder}{number}.json"), serde_json::to_string_pretty(&text).unwrap())
    };
    (0..6).map(file).collect()
}

#[test]
fn labelmes_files_give_the_boxes_of_their_pictures() {
    let beside = labelme("", named(""), &json!("iVBORw0KGgo="));
    check("LabelMe", &with(named(""), beside));
    let apart = labelme("set/labels/", |number| format!("..\\images\\{number}.png"), &Value::Null);
    check("LabelMe, Windows", &with(named("set/images/"), apart));
    let absolute = labelme("", |number| format!("C:\\Users\\ann\\{number}.png"), &Value::Null);
    check("LabelMe, absolute", &with(named("faces/"), absolute));
}

fn label_studio(address: impl Fn(usize) -> String, is_min: bool) -> String {
    let region = |[a, b, c, d]: [f32; 4]| {
        json!({"x": f64::from(a) * 2.5, "y": f64::from(b) / 0.3, "width": f64::from(c - a) * 2.5,
               "height": f64::from(d - b) / 0.3, "rotation": 0, "rectanglelabels": ["Face"]})
    };
    let task = |number: usize| {
        let value = face(number).map(region);
        if is_min {
            let mut task = json!({"image": address(number), "id": number, "annotator": 1, "annotation_id": number,
                "created_at": "2024-05-01T10:00:00.000000Z", "updated_at": "2024-05-01T10:00:00.000000Z",
                "lead_time": 4.2});
            if let Some(mut value) = value {
                value["original_width"] = json!(40);
                value["original_height"] = json!(30);
                task["label"] = json!([value]);
            }
            return task;
        }
        let result: Vec<Value> = value
            .map(|value| {
                json!({"original_width": 40, "original_height": 30, "image_rotation": 0, "value": value, "id": "aB3_x",
                       "from_name": "label", "to_name": "image", "type": "rectanglelabels", "origin": "manual"})
            })
            .into_iter()
            .collect();
        json!({"id": number, "data": {"image": address(number)}, "meta": {}, "predictions": [], "drafts": [],
               "file_upload": format!("0a1b2c3d-{number}.png"), "total_annotations": 1, "project": 1,
               "annotations": [{"id": number, "completed_by": 1, "result": result, "was_cancelled": false,
                                "ground_truth": false, "created_at": "2024-05-01T10:00:00.000000Z",
                                "updated_at": "2024-05-01T10:00:00.000000Z", "lead_time": 4.2}]})
    };
    Value::from((0..6).map(task).collect::<Vec<_>>()).to_string()
}

#[test]
fn label_studios_exports_give_the_boxes_of_their_pictures() {
    let upload = |number| format!("/data/upload/1/0a1b2c3d-{number}.png");
    let local = |number| format!("/data/local-files/?d=my%20faces/{number}.png");
    let name = "project-1-at-2024-05-01-10-00-0a1b2c3d.json".to_owned();
    for is_min in [false, true] {
        let text = |text| vec![(name.clone(), text)];
        let uploaded = text(label_studio(upload, is_min));
        check("Label Studio, pictures as they were", &with(named("images/"), uploaded.clone()));
        let renamed = |number| format!("images/0a1b2c3d-{number}.png");
        check("Label Studio, its own pictures", &with(renamed, uploaded));
        let files = with(named("my faces/"), text(label_studio(local, is_min)));
        check("Label Studio, local files", &files);
    }
}

/// Five landmarks of a face: eyes, nose and corners of the mouth.
fn landmarks([a, b, c, d]: [f32; 4]) -> [[f32; 2]; 5] {
    let at = |x: f32, y: f32| [a + (c - a) * x, b + (d - b) * y];
    [at(0.3, 0.4), at(0.7, 0.4), at(0.5, 0.6), at(0.4, 0.8), at(0.6, 0.8)]
}

/// The text of a label file for `RetinaFace` or SCRFD.
fn sections(is_scrfd: bool) -> String {
    let mut text = String::new();
    for number in 0..6 {
        let size = if is_scrfd { " 40 30" } else { "" };
        writeln!(text, "# 0--Parade/{number}.png{size}").unwrap();
        let Some([a, b, c, d]) = face(number) else { continue };
        let [c_, d_] = if is_scrfd { [c, d] } else { [c - a, d - b] };
        write!(text, "{a} {b} {c_} {d_}").unwrap();
        for [x, y] in landmarks([a, b, c, d]) {
            write!(text, " {x:.3} {y:.3} 0.0").unwrap();
        }
        writeln!(text, "{}", if is_scrfd { "" } else { " 0.82" }).unwrap();
    }
    text
}

#[test]
fn the_label_files_of_retinaface_and_scrfd_give_boxes_and_keypoints() {
    let pictures = named("train/images/0--Parade/");
    for (name, is_scrfd) in [("train/label.txt", false), ("train/labelv2.txt", true)] {
        let files = with(&pictures, vec![(name.to_owned(), sections(is_scrfd))]);
        let [right_eye, left_eye, nose, left, right] =
            landmarks(BOXES[0]).map(|point| point.map(f32::round));
        let mouth = [f32::midpoint(left[0], right[0]), left[1]];
        let expected = [right_eye, left_eye, nose, mouth].map(Some);
        let found = keypoints(&check(name, &files));
        assert_eq!((&found[..4], &found[4..]), (&expected[..], &[None, None][..]));
    }
}

/// The 68 points of an upright face without its forehead; pixels are counted from 1.
fn points([left, top, right, bottom]: [f32; 4]) -> String {
    // The brows-to-chin distance is three quarters of the box's height.
    let brows = top + (bottom - top) / 4.0;
    let [right_eye, left_eye, nose, ..] = landmarks([left, top, right, bottom]);
    let point = |number: u8| match number {
        0 => [left, nose[1]],
        8 => [nose[0], bottom],
        16 => [right, nose[1]],
        17..27 => [left + (right - left) * (0.1 + 0.8 * f32::from(number - 17) / 9.0), brows],
        36..42 => right_eye,
        42..48 => left_eye,
        _ => nose,
    };
    let lines = (0..68).map(point).map(|[x, y]| format!("{:.3} {:.3}\n", x + 1.0, y + 1.0));
    format!("version: 1\nn_points:  68\n{{\n{}}}\n", lines.collect::<Vec<_>>().concat())
}

#[test]
fn the_points_of_300_w_give_boxes_and_keypoints() {
    let file = |number| Some((format!("01_Indoor/{number}.pts"), points(face(number)?)));
    let files = with(named("01_Indoor/"), (0..6).filter_map(file).collect());
    let manifest = check("300-W", &files);
    let eyes = landmarks(BOXES[0]).map(|point| Some(point.map(f32::round)));
    assert_eq!(keypoints(&manifest)[..2], eyes[..2]);
}

#[test]
fn labels_of_two_tools_are_refused() {
    let cvat = ("annotations.xml".to_owned(), cvat_images(|_| ""));
    let mut files = with(named(""), labelme("", named(""), &Value::Null));
    files.push((cvat.0.clone(), cvat.1.into_bytes()));
    assert_eq!(
        refusal(&zip(&files)),
        "the archive holds labels in two formats: annotations.xml (CVAT for images XML) and . (LabelMe JSON); keep the \
        files of only one format"
    );
    let texts = [("label.txt", sections(false)), ("labelv2.txt", sections(true))];
    let texts = texts.map(|(name, text)| (name.to_owned(), text));
    let text = refusal(&zip(&with(named("0--Parade/"), texts.to_vec())));
    assert!(text.contains("label.txt (RetinaFace text) and labelv2.txt (SCRFD text)"), "{text}");
    let mut files = with(named(""), vec![("a.json".to_owned(), label_studio(named(""), false))]);
    files.push(("labels.csv".to_owned(), csv("0.png,1,1,9,9\n")));
    assert!(refusal(&zip(&files)).contains("labels.csv (CSV) and a.json (Label Studio JSON)"));
}

#[test]
fn pictures_without_labels_are_refused_with_what_was_found_and_what_can_be_read() {
    let formats = "CSV with the columns image_path,x1,y1,w,h, COCO JSON, Pascal VOC XML, YOLO text, WIDER FACE text, CVAT XML, \
        LabelMe JSON, Label Studio JSON, RetinaFace or SCRFD text, or 300-W points (.pts)";
    assert_eq!(
        refusal(&zip(&with(named("holiday/"), Vec::new()))),
        format!(
            "the archive holds 6 pictures but no labels; add the boxes of their faces as {formats}"
        )
    );
    let others = [("notes.txt", "Faces at a party\n"), ("a.json", "{\"a\": 1}"), ("b.xml", "<a/>")];
    let others = others.map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(
        refusal(&zip(&with(named("holiday/"), others.to_vec()))),
        format!(
            "the archive holds 6 pictures but no labels, and 3 files that are none of these, such as a.json; add the boxes of \
            their faces as {formats}"
        )
    );
}

#[test]
fn the_report_names_unused_difficulty_lists_of_wider_face() {
    let mut text = String::new();
    for number in 0..6 {
        let face = face(number).unwrap_or_default();
        let [a, b, c, d] = face;
        writeln!(text, "{number}.png\n1\n{a} {b} {} {} 0 0 0 0 0 0", c - a, d - b).unwrap();
    }
    let mut files = with(named(""), vec![("wider_face_val_bbx_gt.txt".to_owned(), text)]);
    for name in ["ground_truth/wider_easy_val.mat", "ground_truth/wider_face_val.mat"] {
        files.push((name.to_owned(), b"MATLAB 5.0 MAT-file, Platform: GLNXA64".to_vec()));
    }
    files.push(("wider_hard_val.txt".to_owned(), b"1 2 3\n".to_vec()));
    let report = manifest(&files).report;
    assert_eq!(report.files.left_out["difficulty list of WIDER FACE"], 3, "{report:?}");
    assert_eq!(report.notes.len(), 1, "{report:?}");
    assert!(
        report.notes[0].starts_with("3 difficulty lists of WIDER FACE were not used"),
        "{report:?}"
    );
}

#[test]
fn boxes_that_are_not_finite_are_left_out_and_reported() {
    let voc = |number: usize| {
        let [a, b, c, d] = face(number).unwrap_or(BOXES[0]).map(|value| value.to_string());
        let c = if number > 3 { "inf".to_owned() } else { c };
        let text = format!(
            "<annotation><filename>{number}.png</filename><object><name>face</name><bndbox><xmin>{a}</xmin>\
             <ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object></annotation>"
        );
        (format!("{number}.xml"), text)
    };
    let report = manifest(&with(named(""), (0..6).map(voc).collect())).report;
    assert_eq!(report.rows.left_out["not a number"], 2, "{report:?}");
    assert_eq!(report.problems[0].to_string(), "4.xml, row 1: its box has the number inf");
}
