//! Tables as people send them: read as intended, or refused with advice on how to state what is meant.

use blazetune::data::options::{ImportError, ImportOptions};
use blazetune::data::{BoxShape, LabelOptions, Manifest, Split, Units};

use blazetune::train::views::pictures::Pictures;

use crate::support::{Files, Place, csv, files, imported, ordinary, png, refusal, zip};

/// Four pictures of 40 × 30 pixels, and a table.
fn with_table(name: &str, table: &str) -> Files {
    let mut all: Files =
        (0..4_u8).map(|number| (format!("i/{number}.png"), png(number * 50))).collect();
    all.push((name.to_owned(), table.as_bytes().to_vec()));
    all
}

pub(crate) fn import_with(all: &Files, labels: LabelOptions) -> Result<Manifest, ImportError> {
    Place::with(&zip(all)).import(&ImportOptions { labels, ..ImportOptions::default() })
}

pub(crate) fn manifest(all: &Files) -> Manifest {
    imported(&zip(all)).unwrap().1.manifest
}

/// Left, top, right and bottom of the first face of each picture, in pixels.
pub(crate) fn corners(manifest: &Manifest) -> Vec<[f32; 4]> {
    let pictures = manifest.pictures.iter().filter(|picture| !picture.faces.is_empty());
    pictures
        .map(|picture| {
            let [y1, x1, y2, x2] = picture.faces[0].into();
            let (width, height) = (picture.width as f32, picture.height as f32);
            [x1 * width, y1 * height, x2 * width, y2 * height].map(f32::round)
        })
        .collect()
}

/// The four boxes of every table below, whatever form the table gives them: left, top, right, bottom.
pub(crate) const BOXES: [[f32; 4]; 4] = [
    [25.0, 18.0, 35.0, 28.0],
    [22.0, 15.0, 38.0, 29.0],
    [4.0, 3.0, 14.0, 15.0],
    [20.0, 20.0, 30.0, 30.0],
];

/// A table of [`BOXES`].
fn table(header: &str, row: impl Fn(usize, [f32; 4]) -> String) -> String {
    let rows = BOXES.iter().enumerate().map(|(number, corners)| row(number, *corners) + "\n");
    format!("{header}\n{}", rows.collect::<String>())
}

#[test]
fn boxes_are_read_by_the_names_of_their_columns() {
    let tables = [
        table("image_path,x1,y1,w,h", |n, [a, b, c, d]| {
            format!("i/{n}.png,{a},{b},{},{}", c - a, d - b)
        }),
        table("filename,width,height,class,xmin,ymin,xmax,ymax", |n, [a, b, c, d]| {
            format!("i/{n}.png,40,30,face,{a},{b},{c},{d}")
        }),
        table("file,left,top,width,height", |n, [a, b, c, d]| {
            format!("i/{n}.png,{a},{b},{},{}", c - a, d - b)
        }),
        table("path,x_center,y_center,w,h", |n, [a, b, c, d]| {
            format!("i/{n}.png,{},{},{},{}", f32::midpoint(a, c), f32::midpoint(b, d), c - a, d - b)
        }),
        table("image;x1;y1;x2;y2", |n, [a, b, c, d]| {
            format!("i/{n}.png;{};{};{};{}", a / 40.0, b / 30.0, c / 40.0, d / 30.0)
        }),
    ];
    for table in tables {
        let manifest = manifest(&with_table("labels.csv", &table));
        assert_eq!(corners(&manifest), BOXES, "{table}");
        let is_said = manifest.report.notes.iter().any(|note| note.contains("fractions"));
        assert_eq!(is_said, table.starts_with("image;"), "{:?}", manifest.report);
    }
}

#[test]
fn corners_in_columns_named_like_sizes_are_refused_until_the_user_says_what_they_are() {
    let table =
        table("image_path,x1,y1,w,h", |n, [a, b, c, d]| format!("i/{n}.png,{a},{b},{c},{d}"));
    let all = with_table("labels.csv", &table);
    assert_eq!(
        refusal(&zip(&all)),
        "3 of 4 boxes in labels.csv would leave their pictures if read as left, top, width and height; they all fit as \
        corners (x1,y1 and x2,y2). If that is what they are, upload the archive again with ?boxes=xyxy; if not, with \
        ?boxes=xywh. The table's first line is \"image_path,x1,y1,w,h\"; row 2 has 25,18,35,28 for i/0.png, which is \
        40 × 30 pixels; row 3 has 22,15,38,29 for i/1.png, which is 40 × 30 pixels; row 5 has 20,20,30,30 for i/3.png, \
        which is 40 × 30 pixels"
    );
    let said =
        |boxes| import_with(&all, LabelOptions { boxes: Some(boxes), ..LabelOptions::default() });
    assert_eq!(corners(&said(BoxShape::Xyxy).unwrap()), BOXES);
    assert_eq!(said(BoxShape::Xywh).unwrap().report.counts["box over the edge"], 3);
}

#[test]
fn swapped_axes_and_boxes_of_larger_pictures_are_refused_with_advice() {
    let swapped = table("image_path,x1,y1,x2,y2", |n, [a, b, c, d]| {
        let (a, c) = (a / 2.0, c - 3.0); // Wide boxes fit in only one way.
        format!("i/{n}.png,{b},{a},{d},{c}")
    });
    let text = refusal(&zip(&with_table("labels.csv", &swapped)));
    assert!(text.contains("they fit if x and y are swapped"), "{text}");
    let larger = table("image_path,x1,y1,x2,y2", |n, corners| {
        let [a, b, c, d] = corners.map(|value| value * 8.0);
        format!("i/{n}.png,{a},{b},{c},{d}")
    });
    let text = refusal(&zip(&with_table("labels.csv", &larger)));
    assert!(
        text.contains("they reach to x = 304 and y = 240") && text.contains("width and height"),
        "{text}"
    );
}

#[test]
fn boxes_are_scaled_to_a_picture_that_was_shrunk_after_labelling() {
    let table = table("filename,width,height,class,xmin,ymin,xmax,ymax", |n, corners| {
        let [a, b, c, d] = corners.map(|value| value * 8.0);
        format!("i/{n}.png,320,240,face,{a},{b},{c},{d}")
    });
    let manifest = manifest(&with_table("labels.csv", &table));
    assert_eq!(corners(&manifest), BOXES);
    let note = &manifest.report.notes[0];
    assert!(note.contains("4 boxes were scaled") && note.contains("320 × 240"), "{note}");
}

#[test]
fn a_picture_whose_shape_differs_from_its_row_is_left_out() {
    let table = table("filename,width,height,class,xmin,ymin,xmax,ymax", |n, [a, b, c, d]| {
        format!("i/{n}.png,{},30,face,{a},{b},{c},{d}", if n == 2 { 60 } else { 40 })
    });
    let manifest = manifest(&with_table("labels.csv", &table));
    assert_eq!(manifest.pictures.len(), 3);
    assert_eq!(manifest.report.counts["picture of another shape"], 1);
    assert!(manifest.report.adds_up(), "{:?}", manifest.report);
}

#[test]
fn fractions_among_pixels_are_refused_with_the_row() {
    let table = table("image_path,x1,y1,x2,y2", |n, corners| {
        let [a, b, c, d] = if n == 2 { corners.map(|value| value / 40.0) } else { corners };
        format!("i/{n}.png,{a},{b},{c},{d}")
    });
    let all = with_table("labels.csv", &table);
    let text = refusal(&zip(&all));
    assert!(text.starts_with("row 4 of labels.csv: x1=0.1, y1=0.075"), "{text}");
    assert!(text.contains("look like fractions") && text.ends_with("?units=pixels"), "{text}");
    let units = Some(Units::Pixels);
    import_with(&all, LabelOptions { units, ..LabelOptions::default() }).unwrap();
}

#[test]
fn a_table_without_a_header_is_refused_with_its_first_line() {
    let text = refusal(&zip(&with_table("labels.csv", "i/0.png,1,2,9,9\ni/1.png,1,2,9,9\n")));
    assert!(
        text.starts_with("labels.csv has no header: its first line is \"i/0.png,1,2,9,9\""),
        "{text}"
    );
    assert!(text.contains("image_path,x1,y1,w,h"), "{text}");
}

#[test]
fn the_user_says_which_of_several_categories_are_faces() {
    let with = |second: &str| {
        table("filename,class,xmin,ymin,xmax,ymax", |n, [a, b, c, d]| {
            format!("i/{n}.png,{},{a},{b},{c},{d}", if n == 2 { second } else { "head" })
        })
    };
    let all = with_table("labels.csv", &with("tree"));
    let text = refusal(&zip(&all));
    assert!(
        text.contains("categories head, tree") && text.contains("?face_categories=head"),
        "{text}"
    );
    let face_categories = vec!["head".to_owned()];
    let manifest = import_with(&all, LabelOptions { face_categories, ..LabelOptions::default() });
    let manifest = manifest.unwrap();
    assert_eq!((manifest.summary().faces, manifest.summary().negatives), (3, 1));
    assert!(manifest.report.adds_up(), "{:?}", manifest.report);
}

#[test]
fn equal_rows_count_once_and_rows_that_differ_stay() {
    let rows = "i/0.png,5,5,9,9\ni/0.png,5,5,9,9\ni/0.png,6,5,9,9\ni/1.png,1,1,9,9\n";
    let manifest = manifest(&with_table("a.csv", &String::from_utf8(csv(rows)).unwrap()));
    assert_eq!(manifest.summary().faces, 3);
    let told = manifest.report.problems[0].to_string();
    assert_eq!(told, "a.csv, row 3: repeats row 2 of a.csv; it counts once");
}

#[test]
fn tables_of_batches_are_combined_and_test_pictures_are_kept_apart() {
    let mut all: Files =
        (0..6_u8).map(|number| (format!("{number}.png"), png(number * 40))).collect();
    all.push(("batch1.csv".to_owned(), csv("0.png,1,1,9,9\n1.png,1,1,9,9\n")));
    all.push(("batch2.csv".to_owned(), csv("1.png,1,1,9,9\n2.png,1,1,9,9\n3.png,1,1,9,9\n")));
    all.push(("test_labels.csv".to_owned(), csv("4.png,1,1,9,9\n5.png,1,1,9,9\n")));
    let (place, dataset) = imported(&zip(&all)).unwrap();
    let manifest = &dataset.manifest;
    let tested: Vec<_> = manifest.pictures.iter().map(|p| p.split == Split::Test).collect();
    assert_eq!(tested, [false, false, false, false, true, true]);
    let splits = manifest.summary().splits;
    assert!(splits.train.faces > 0 && splits.val.faces > 0 && splits.test.faces == 2);
    let pictures = Pictures::open(&place.dir()).unwrap();
    assert!(pictures.train.iter().chain(&pictures.val).all(|&index| index < 4), "{pictures:?}");
}

#[test]
fn pictures_without_a_row_are_left_out_if_any_row_names_a_missing_picture() {
    let mut all = ordinary();
    let table = all.iter_mut().find(|(name, _)| name == "annotations.csv").unwrap();
    table.1.extend_from_slice(b"images/gone.png,1,1,9,9\n");
    let manifest = manifest(&all);
    assert_eq!((manifest.summary().images, manifest.summary().negatives), (6, 0));
    assert_eq!(manifest.report.counts["picture without a row"], 2);
    let note = &manifest.report.notes[0];
    assert!(
        note.starts_with("2 pictures without a row were left out: 1 rows found no picture"),
        "{note}"
    );
}

#[test]
fn every_row_and_every_file_is_accounted_for() {
    let mut all = files(&[
        ("a.png", &png(1)),
        ("b.png", &png(2)),
        ("copy of b.png", &png(2)),
        ("broken.png", b"no picture"),
        ("bad.png", &png(5)),
        ("nobody.png", &png(6)),
        ("readme.txt", b"hello"),
        ("sizes.csv", b"image_path,w\n"),
    ]);
    let rows = "a.png,1,1,9,9\na.png,1,1,9,9\nb.png,2,2,9,9\ncopy of b.png,2,2,9,9\nbroken.png,1,1,9,9\n\
        bad.png,x,1,9,9\ngone.png,1,1,9,9\n,1,1,9,9\na.png,500,500,9,9\na.png,0,0,0,0\n";
    all.push(("labels.csv".to_owned(), csv(rows)));
    let report = manifest(&all).report;
    assert_eq!((report.rows.given, report.rows.faces), (10, 2));
    assert_eq!((report.files.given, report.files.used), (9, 3), "two pictures and a table");
    assert!(report.adds_up(), "{report:?}");
}
