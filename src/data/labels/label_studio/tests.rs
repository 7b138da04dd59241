use super::*;
use serde_json::json;

fn parsed(text: &str) -> Result<LabelTable, Unread> {
    let file = LabelFile { path: "a.json".to_owned(), text: text.to_owned() };
    assert!(is_label_studio(text), "{text}");
    read(&file, &LabelOptions::default(), Reporter::default())
}

fn region(id: &str, kind: &str, value: &Value) -> Value {
    json!({"id": id, "type": kind, "from_name": "label", "to_name": "image", "image_rotation": 0,
           "original_width": 200, "original_height": 100, "value": value})
}

fn rectangle(label: &str, [x, y, width, height]: [f64; 4]) -> Value {
    let value = json!({"x": x, "y": y, "width": width, "height": height, "rotation": 0,
                       "rectanglelabels": [label]});
    region("r", "rectanglelabels", &value)
}

/// An export of one task with an annotation of each list of regions.
fn export(annotations: &[Value]) -> String {
    json!([{"id": 1, "data": {"image": "/data/upload/1/0a1b2c3d-a.jpg"}, "annotations": annotations,
            "predictions": [{"result": [rectangle("face", [0.0, 0.0, 99.0, 99.0])]}]}])
    .to_string()
}

fn annotation(result: &Value) -> Value {
    json!({"id": 5, "was_cancelled": false, "ground_truth": false, "result": result})
}

fn faces(table: &LabelTable) -> Vec<Face> {
    table.rows.iter().map(|row| row.face).collect()
}

#[test]
fn shapes_are_read_in_per_cent_and_predictions_are_not() {
    let polygon = json!({"points": [[10, 20], [30, 40], [20, 60]], "polygonlabels": ["face"]});
    let ellipse = json!({"x": 50, "y": 50, "radiusX": 10, "radiusY": 20, "rotation": 90, "ellipselabels": ["face"]});
    let turned = json!({"x": 50, "y": 20, "width": 10, "height": 40, "rotation": 90, "rectanglelabels": ["face"]});
    let nose = json!({"x": 15, "y": 25, "width": 0.4, "keypointlabels": ["nose"]});
    let text = export(&[annotation(&json!([
        rectangle("face", [10.0, 20.0, 30.0, 40.0]),
        region("p", "polygonlabels", &polygon),
        region("e", "ellipselabels", &ellipse),
        region("t", "rectanglelabels", &turned),
        region("k", "keypointlabels", &nose),
        region("c", "choices", &json!({"choices": ["good"]})),
        region(
            "h",
            "rectanglelabels",
            &json!({"x": 1, "y": 1, "width": 1, "height": 1, "rectanglelabels": ["hat"]})
        ),
    ]))]);
    let table = parsed(&text).unwrap();
    let expected = [
        [0.1, 0.2, 0.4, 0.6],
        [0.1, 0.2, 0.3, 0.6],
        // 20 × 20 pixels to each side of (100, 50).
        [0.4, 0.3, 0.6, 0.7],
        // Its left upper corner stays at (100, 20), and its 20 × 40 pixels go 40 to the left and 20 down.
        [0.3, 0.2, 0.5, 0.4],
    ];
    for (row, expected) in table.rows.iter().zip(expected) {
        let Face::At(corners) = row.face else { panic!("{row:?}") };
        assert!(corners.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{corners:?}");
    }
    assert_eq!((table.rows.len(), table.rows[4].face), (5, Face::Other));
    assert_eq!(table.rows[0].size, Some([200.0, 100.0]));
    assert_eq!(table.rows[1].keypoints[2], Some([0.15, 0.25]), "of the smaller box");
    assert_eq!(table.rows[0].image_path, "/data/upload/1/0a1b2c3d-a.jpg");
}

#[test]
fn the_truth_counts_or_else_the_newest_annotation_that_was_not_cancelled() {
    let with = |x: f64, extra: &Value| {
        let mut annotation = annotation(&json!([rectangle("face", [x, 0.0, 10.0, 10.0])]));
        let fields = annotation.as_object_mut().unwrap();
        fields.extend(extra.as_object().unwrap().clone());
        annotation
    };
    let left = |annotations: &[Value]| {
        let table = parsed(&export(annotations)).unwrap();
        let Face::At([left, ..]) = table.rows[0].face else { panic!("{:?}", table.rows) };
        left
    };
    let old = with(10.0, &json!({"updated_at": "2024-01-02T10:00:00Z"}));
    let new = with(20.0, &json!({"updated_at": "2024-01-03T10:00:00Z"}));
    let cancelled =
        with(30.0, &json!({"updated_at": "2024-01-04T10:00:00Z", "was_cancelled": true}));
    let truth = with(40.0, &json!({"updated_at": "2024-01-01T10:00:00Z", "ground_truth": true}));
    assert_eq!(left(&[old.clone(), new.clone(), cancelled.clone()]), 0.2);
    assert_eq!(left(&[old, truth, new]), 0.4);
    for none in [&[cancelled][..], &[]] {
        let table = parsed(&export(none)).unwrap();
        assert_eq!(faces(&table), [Face::Unknown]);
        assert_eq!(table.report.told.rows.left_out["task without an annotation"], 1);
    }
    assert_eq!(faces(&parsed(&export(&[annotation(&json!([]))])).unwrap()), [Face::None]);
}

#[test]
fn json_min_is_read() {
    let text = json!([
        {"image": "/data/upload/1/0a1b2c3d-a.jpg", "id": 1, "annotator": 1, "annotation_id": 3,
         "label": [{"x": 10, "y": 20, "width": 30, "height": 40, "rotation": 0, "rectanglelabels": ["face"],
                    "original_width": 200, "original_height": 100}],
         "points": [{"x": 12, "y": 22, "width": 0.3, "keypointlabels": ["left_eye"],
                     "original_width": 200, "original_height": 100}]},
        {"image": "/data/upload/1/0a1b2c3d-n.jpg", "id": 2, "annotator": 1, "annotation_id": 4}
    ]);
    let table = parsed(&text.to_string()).unwrap();
    assert!(matches!(faces(&table)[..], [Face::At(_), Face::None]), "{:?}", table.rows);
    assert_eq!(table.rows[0].keypoints[1], Some([0.12, 0.22]));
    assert_eq!(table.rows[1].number, 2, "the task's position");
}

#[test]
fn a_rectangle_and_its_labels_may_be_two_regions() {
    let value = json!({"x": 10, "y": 20, "width": 30, "height": 40});
    let labels = json!({"x": 10, "y": 20, "width": 30, "height": 40, "labels": ["face"]});
    let result = json!([region("a", "rectangle", &value), region("a", "labels", &labels)]);
    let table = parsed(&export(&[annotation(&result)])).unwrap();
    assert_eq!((table.rows.len(), table.rows[0].category.as_str()), (1, "face"));
}

#[test]
fn bad_regions_and_tasks_are_reported_with_the_task_and_bad_files_refused() {
    let with = |value: &Value| {
        let table = parsed(&export(&[annotation(&json!([region("a", "rectanglelabels", value)]))]));
        table.unwrap().report.told.problems[0].to_string()
    };
    for (value, reason) in [
        (json!({"x": "1", "y": 1, "width": 1, "height": 1}), "its x is not a number"),
        (json!({"x": 1, "width": 1, "height": 1}), "its y is missing"),
        (
            json!({"x": 1, "y": 1, "width": 0, "height": 1}),
            "the box 1,1,0,1 has no width or height",
        ),
        (json!({"points": [[1, 1], [2]]}), "its points are not pairs of numbers"),
        (json!({"points": []}), "it has no points"),
        (json!({"rle": [1, 2], "format": "rle"}), "it is a mask drawn with a brush, not a box"),
        (
            json!({"x": 1, "y": 1, "width": 2e30, "height": 1}),
            "the coordinate 2.0000001e28 cannot be in a picture",
        ),
    ] {
        assert_eq!(with(&value), format!("a.json, row 1: {reason}"));
    }
    let mut turned = rectangle("face", [1.0, 1.0, 2.0, 2.0]);
    turned["image_rotation"] = json!(90);
    let table = parsed(&export(&[annotation(&json!([turned]))])).unwrap();
    assert!(table.report.told.problems[0].to_string().contains("turned by 90 degrees"));
    let table = parsed(
        "[{\"data\": {}, \"annotations\": 7}, 8, {\"data\": {\"image\": \"data:image/png;base64,\"}}]",
    );
    let table = table.unwrap();
    assert_eq!((table.given, table.nameless), (3, 3));
    for text in ["[{\"data\": 1, \"annotations\": 2}", "[{\"data\": NaN, \"annotations\": 2}]"] {
        let Err(Unread::Damaged(reason)) = parsed(text) else { panic!("{text}") };
        assert!(reason.starts_with("it looks like Label Studio JSON, but "), "{reason}");
        assert!(reason.contains(" at line 1 column "), "{reason}");
    }
}
