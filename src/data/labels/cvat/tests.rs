use super::*;
use crate::data::labels::{Face, Row};

fn parsed(text: &str) -> Result<Vec<(String, LabelTable)>, Unread> {
    let file = LabelFile { path: "x/annotations.xml".to_owned(), text: text.to_owned() };
    let format = cvat_format(text).unwrap();
    read(&file, format, &LabelOptions::default(), &Reporter::default())
}

fn document(body: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<annotations>\n<version>1.1</version>\n{body}\n</annotations>\n"
    )
}

fn faces(rows: &[Row]) -> Vec<(&str, Face)> {
    rows.iter().map(|row| (row.image_path.as_str(), row.face)).collect()
}

#[test]
fn boxes_polygons_ellipses_and_masks_of_images_are_read() {
    let text = document(
        "<image id=\"0\" name=\"b &amp; c.jpg\" width=\"64\" height=\"48\">\n\
         <box label=\"face\" occluded=\"0\" xtl=\"1.5\" ytl=\"2\" xbr=\"9\" ybr=\"8\" z_order=\"0\">\n\
         <attribute name=\"blur\">1</attribute></box>\n\
         <polygon label=\"Face\" points=\"1.00,5.00;7.00,2.00;4.00,9.00\"></polygon>\n\
         <ellipse label=\"face\" cx=\"20\" cy=\"20\" rx=\"4\" ry=\"2\" rotation=\"90\"/>\n\
         <mask label=\"face\" rle=\"1, 2\" left=\"3\" top=\"4\" width=\"5\" height=\"6\"/>\n\
         <box label=\"hat\" xtl=\"1\" ytl=\"2\" xbr=\"9\" ybr=\"8\"/>\n\
         <points label=\"nose\" points=\"5.5,6\"/>\n\
         <tag label=\"good\"/></image>\n\
         <image id=\"1\" name=\"n.jpg\" width=\"64\" height=\"48\"></image>",
    );
    assert_eq!(cvat_format(&text), Some(LabelFormat::Cvat));
    let mut tables = parsed(&text).unwrap();
    let (subset, table) = tables.remove(0);
    let name = "b & c.jpg";
    assert_eq!(
        faces(&table.rows),
        [
            (name, Face::At([1.5, 2.0, 9.0, 8.0])),
            (name, Face::At([1.0, 2.0, 7.0, 9.0])),
            (name, Face::At([18.0, 16.0, 22.0, 24.0])),
            (name, Face::At([3.0, 4.0, 8.0, 10.0])),
            (name, Face::Other),
            ("n.jpg", Face::None)
        ]
    );
    assert_eq!((subset.as_str(), table.rows[0].size), ("", Some([64.0, 48.0])));
    assert_eq!(table.rows[0].number, 5, "its line");
    assert_eq!(table.rows[3].keypoints[2], Some([5.5, 6.0]), "of the smallest box");
}

#[test]
fn subsets_are_tables_of_their_own() {
    let image = |name, subset| {
        format!(
            "<image name=\"{name}\" subset=\"{subset}\"><box label=\"a\" xtl=\"1\" ytl=\"1\" xbr=\"2\" ybr=\"2\"/></image>"
        )
    };
    let text = document(&[image("a.jpg", "Train"), image("b.jpg", "Validation")].concat());
    let tables = parsed(&text).unwrap();
    let subsets: Vec<_> =
        tables.iter().map(|(subset, table)| (subset.as_str(), table.files)).collect();
    assert_eq!(subsets, [("Train", 1), ("Validation", 0)]);
}

#[test]
fn tracks_are_read_by_frame_until_their_objects_leave() {
    let shape = |frame, outside| {
        format!(
            "<box frame=\"{frame}\" outside=\"{outside}\" occluded=\"0\" keyframe=\"1\" xtl=\"1\" ytl=\"1\" xbr=\"{}\" ybr=\"9\"/>\n",
            frame + 2
        )
    };
    let track = |shapes: &[String]| {
        document(&format!("<track id=\"0\" label=\"face\">\n{}</track>", shapes.concat()))
    };
    let text = track(&[shape(0, 0), shape(5, 0), shape(10, 1), shape(30, 0)]);
    assert_eq!(cvat_format(&text), Some(LabelFormat::CvatVideo));
    let tables = parsed(&text).unwrap();
    assert_eq!(
        faces(&tables[0].1.rows),
        [
            ("images/frame_000000", Face::At([1.0, 1.0, 2.0, 9.0])),
            ("images/frame_000005", Face::At([1.0, 1.0, 7.0, 9.0])),
            ("images/frame_000030", Face::At([1.0, 1.0, 32.0, 9.0])),
        ]
    );
    let error = parsed(&track(&[shape(0, 0), shape(1, 0), shape(7, 0)])).unwrap_err();
    let Unread::Damaged(text) = error else { panic!("{error:?}") };
    assert!(text.contains("lines 6 and 7 leaves out the frames between 1 and 7"), "{text}");
}

#[test]
fn skeletons_give_their_keypoints_to_the_box_around_them() {
    let text = document(
        "<image name=\"a.jpg\"><box label=\"face\" xtl=\"1\" ytl=\"1\" xbr=\"9\" ybr=\"9\"/>\
         <skeleton label=\"face points\"><points label=\"left_eye\" outside=\"0\" points=\"6,3\"/>\
         <points label=\"nose\" outside=\"1\" points=\"5,5\"/></skeleton></image>",
    );
    let table = parsed(&text).unwrap().remove(0).1;
    assert_eq!(table.rows.len(), 1);
    assert_eq!(table.rows[0].keypoints[..3], [None, Some([6.0, 3.0]), None]);
}

#[test]
fn bad_shapes_are_reported_with_their_lines_and_bad_files_refused() {
    let text = document(
        "<image name=\"a.jpg\">\n<box label=\"face\" xtl=\"x\" ytl=\"1\" xbr=\"9\" ybr=\"9\"/>\n\
         <box label=\"face\" xtl=\"9\" ytl=\"1\" xbr=\"9\" ybr=\"9\"/>\n<box xtl=\"NaN\" ytl=\"1\" xbr=\"9\" ybr=\"9\"/>\n\
         <polygon label=\"face\" points=\"1;2\"/>\n<box label=\"face\" xtl=\"1\"/>\n<cuboid label=\"face\"/>\n\
         <box label=\"face\" xtl=\"-1e30\" ytl=\"1\" xbr=\"9\" ybr=\"9\"/></image>",
    );
    let table = parsed(&text).unwrap().remove(0).1;
    assert!(table.rows.iter().all(|row| row.face == Face::Unknown));
    let told: Vec<String> = table.report.told.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        told[..6],
        [
            "x/annotations.xml, row 5: xtl is \"x\", not a number",
            "x/annotations.xml, row 6: the box 9,1,9,9 has no width or height",
            "x/annotations.xml, row 7: the box NaN,1,9,9 has no width or height",
            "x/annotations.xml, row 8: \"1\" is not a point",
            "x/annotations.xml, row 9: ytl is missing",
            "x/annotations.xml, row 10: it is a cuboid, not a box",
        ]
    );
    assert_eq!(told.len(), 7);
    for (body, reason) in [
        ("<image>\n</image>", "at line 4, name is missing"),
        ("<image name=\"a\">", "at line 5, ill-formed document: expected `</image>`"),
        ("<track label=\"a\"><box/></track>", "at line 4, frame is missing"),
    ] {
        let Err(Unread::Damaged(text)) = parsed(&document(body)) else { panic!("{body}") };
        assert!(
            text.starts_with("it looks like CVAT XML, but ") && text.contains(reason),
            "{text}"
        );
    }
}

#[test]
fn a_file_that_was_cut_short_is_refused() {
    let text = "<annotations><version>1.1</version><image name=\"a.jpg\"><box xtl=\"1\"/>";
    let Err(Unread::Damaged(reason)) = parsed(text) else { panic!("read") };
    assert!(reason.ends_with("at line 1, it ends inside an element"), "{reason}");
}
