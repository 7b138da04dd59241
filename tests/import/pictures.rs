//! How pictures are decoded and cached.

use blazetune::data::options::ImportOptions;
use blazetune::data::{ImportedDataset, PictureFile, Split, read_upright};
use blazetune::geometry::Letterbox;
use image::{DynamicImage, ImageBuffer, ImageFormat, Luma, LumaA, Rgb, RgbImage, Rgba};

use crate::support::{Place, csv, drawing, encoded, files, imported, ordinary, png, zip};

/// Imports [`ordinary`] with one more picture, and returns the picture's index.
fn with_picture(name: &str, bytes: &[u8]) -> (Place, ImportedDataset, usize) {
    let mut all = ordinary();
    all.push((name.to_owned(), bytes.to_vec()));
    let (place, dataset) = imported(&zip(&all)).unwrap();
    let pictures = &dataset.manifest.pictures;
    let index = pictures.iter().position(|picture| picture.name == name).unwrap();
    (place, dataset, index)
}

fn is_close(a: Rgb<u8>, b: [u8; 3]) -> bool {
    a.0.iter().zip(b).all(|(&a, b)| a.abs_diff(b) <= 6)
}

#[test]
fn every_format_is_read() {
    let plain = RgbImage::from_pixel(64, 32, Rgb([200, 100, 50]));
    for (name, format) in [
        ("a.jpg", ImageFormat::Jpeg),
        ("a.JPEG", ImageFormat::Jpeg),
        ("a.png", ImageFormat::Png),
        ("a.webp", ImageFormat::WebP),
        ("a.bmp", ImageFormat::Bmp),
        ("a.gif", ImageFormat::Gif),
        ("a.tiff", ImageFormat::Tiff),
        ("told_by_content.png", ImageFormat::Jpeg),
    ] {
        let (_place, dataset, index) = with_picture(name, &encoded(plain.clone(), format));
        let picture = dataset.picture(index).unwrap().unwrap();
        assert_eq!(picture.dimensions(), (256, 128), "{name}");
        // MediaPipe's sampling of the last row and column reaches beyond the edge.
        for (x, y) in [(0, 0), (250, 124), (100, 60)] {
            let pixel = *picture.get_pixel(x, y);
            assert!(is_close(pixel, [200, 100, 50]), "{name}: {pixel:?} at {x}, {y}");
        }
    }
}

#[test]
fn every_kind_of_colour_becomes_rgb() {
    let half_red = ImageBuffer::from_pixel(20, 20, Rgba([200u8, 0, 0, 128]));
    let deep = ImageBuffer::from_pixel(20, 20, Luma([40_000u16]));
    let grey = ImageBuffer::from_pixel(20, 20, LumaA([90u8, 255]));
    let cases: [(DynamicImage, [u8; 3]); 3] = [
        (half_red.into(), [100, 0, 0]), // over black
        (deep.into(), [156; 3]),
        (grey.into(), [90; 3]),
    ];
    for (picture, expected) in cases {
        let upright = read_upright(&encoded(picture, ImageFormat::Png), 1).unwrap();
        assert!(is_close(*upright.get_pixel(10, 10), expected), "{expected:?}");
    }
    // Made by Pillow: `Image.new("CMYK", (16, 16), (0, 128, 255, 0)).save("cmyk.jpg")`.
    let upright = read_upright(include_bytes!("cmyk.jpg"), 1).unwrap();
    let pixel = *upright.get_pixel(8, 8);
    assert!(is_close(pixel, [255, 127, 0]), "{pixel:?}");
}

/// A JPEG with an EXIF orientation.
fn rotated_jpeg(orientation: u8) -> Vec<u8> {
    // Red above blue, as stored.
    let stored =
        RgbImage::from_fn(64, 32, |_, y| if y < 16 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) });
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let mut jpeg = encoded(stored, ImageFormat::Jpeg);
    let mut segment = vec![0xff, 0xe1];
    segment.extend(((exif.len() + 2) as u16).to_be_bytes());
    segment.extend(exif);
    jpeg.splice(2..2, segment);
    jpeg
}

#[test]
fn annotations_refer_to_the_picture_as_turned_by_its_exif_orientation() {
    let rows = csv("up.jpg,0,0,64,16\nright.jpg,16,0,16,64\n");
    let all = files(&[
        ("up.jpg", &rotated_jpeg(1)),
        ("right.jpg", &rotated_jpeg(6)),
        ("annotations.csv", &rows),
    ]);
    let (_place, dataset) = imported(&zip(&all)).unwrap();
    assert!(dataset.manifest.report.counts.is_empty(), "{:?}", dataset.manifest.report);
    for (index, (width, height)) in [(32, 64), (64, 32)].into_iter().enumerate() {
        let picture = &dataset.manifest.pictures[index];
        assert_eq!((picture.width, picture.height), (width, height), "{}", picture.name);
        // Each box is around the red half.
        let (x, y) = picture.faces[0].centre();
        let pixels = dataset.picture(index).unwrap().unwrap();
        let at = |x: f32, y: f32| {
            let (width, height) = pixels.dimensions();
            *pixels.get_pixel((x * width as f32) as u32, (y * height as f32) as u32)
        };
        assert!(is_close(at(x, y), [254, 0, 0]), "{:?}", at(x, y));
        assert!(is_close(at(1.0 - x, 1.0 - y - 0.01), [0, 0, 254]) || index == 0);
    }
}

#[test]
fn boxes_are_fractions_and_parts_outside_are_cut_off() {
    let rows = "a.png,10,6,20,12\nb.png,-10,-6,20,12\nb.png,30,24,11,7\n";
    let all = files(&[("a.png", &png(9)), ("b.png", &png(8)), ("annotations.csv", &csv(rows))]);
    let (_place, dataset) = imported(&zip(&all)).unwrap();
    let [a, b] = &dataset.manifest.pictures[..] else { panic!() };
    let faces: Vec<[f32; 4]> = a.faces.iter().chain(&b.faces).map(|&face| face.into()).collect();
    let expected = [[0.2, 0.25, 0.6, 0.75], [0.0, 0.0, 0.2, 0.25], [0.8, 0.75, 1.0, 1.0]];
    for (face, expected) in faces.iter().zip(expected) {
        assert!(face.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{faces:?}");
    }
    assert_eq!(a.letterbox, Letterbox::exact(40, 30, 256));
    let report = &dataset.manifest.report;
    assert_eq!(report.counts["box over the edge"], 1, "one pixel is rounding: {report:?}");
    assert_eq!(report.problems[0].row, Some(3));
}

#[test]
fn bad_pictures_are_left_out_with_their_rows_and_the_others_move_up() {
    let mut huge = encoded(drawing(0), ImageFormat::Bmp);
    huge[18..22].copy_from_slice(&60_000u32.to_le_bytes());
    huge[22..26].copy_from_slice(&60_000u32.to_le_bytes());
    let mut half = png(5);
    half.truncate(half.len() / 2);
    let mut all = ordinary();
    all[0].1 = b"no picture at all".to_vec();
    all[2].1 = huge;
    all[4].1 = half;
    all[5].1 = Vec::new();
    let (_place, dataset) = imported(&zip(&all)).unwrap();
    let names: Vec<_> = dataset.manifest.pictures.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["images/1.png", "images/3.png", "images/6.png", "images/7.png"]);
    for (index, shade) in [20, 60, 120, 140].into_iter().enumerate() {
        let picture = dataset.picture(index).unwrap().unwrap();
        assert_eq!(picture.get_pixel(128, 96)[0], shade, "{}", names[index]);
    }
    assert_eq!(dataset.picture(4).unwrap(), None);
    let report = &dataset.manifest.report;
    assert_eq!(report.counts["bad picture"], 4);
    let problems: Vec<_> = report.problems.iter().map(ToString::to_string).collect();
    assert!(problems[0].starts_with("images/0.png: cannot be decoded"), "{problems:?}");
    assert_eq!(
        problems[1],
        "images/2.png: has 60000 × 60000 pixels; at most 100 megapixels are accepted; it was left out"
    );
}

#[test]
fn the_operator_sets_the_limit_on_pixels() {
    let mut all = ordinary();
    all.push(("wide.png".to_owned(), encoded(RgbImage::new(1100, 1000), ImageFormat::Png)));
    let place = Place::with(&zip(&all));
    let manifest =
        place.import(&ImportOptions { megapixels: 1, ..ImportOptions::default() }).unwrap();
    assert_eq!(manifest.pictures.len(), 8);
    assert!(manifest.report.problems[0].reason.contains("at most 1 megapixels"));
}

#[test]
fn a_picture_whose_boxes_are_all_outside_is_left_out() {
    let mut all = ordinary();
    let rows = "out.png,50,5,10,10\n1.png,1,1,9,9\n2.png,1,1,9,9\n";
    all = vec![
        ("annotations.csv".to_owned(), csv(rows)),
        ("out.png".to_owned(), all.remove(0).1),
        ("1.png".to_owned(), all.remove(0).1),
        ("2.png".to_owned(), all.remove(0).1),
    ];
    let (_place, dataset) = imported(&zip(&all)).unwrap();
    assert_eq!(dataset.manifest.pictures.len(), 2);
    let report = &dataset.manifest.report;
    assert_eq!(report.counts["box outside the picture"], 1);
    assert_eq!(
        report.problems[0].to_string(),
        "annotations.csv, row 2: the box 50,5,10,10 lies outside out.png, which is 40 × 30 pixels"
    );
}

#[test]
fn the_squares_hold_the_picture_with_black_bars() {
    let (_place, dataset, index) = with_picture(
        "z.png",
        &encoded(RgbImage::from_pixel(50, 100, Rgb([9, 99, 199])), ImageFormat::Png),
    );
    let blue = |file: &PictureFile| {
        let bytes = file.read_all(&[index]).unwrap();
        bytes.iter().skip(2).step_by(3).map(|&value| i64::from(value)).sum::<i64>()
    };
    let (squares, inputs) = (dataset.squares().unwrap(), dataset.inputs().unwrap());
    assert_eq!((squares.side(), inputs.side()), (256, 128));
    // The sums are not exact, since samples at the edges reach beyond the picture.
    let (squares, inputs) = (blue(&squares), blue(&inputs));
    assert!((squares - 199 * 128 * 256).abs() < 199 * 3 * 256, "{squares}");
    assert!((inputs - 199 * 64 * 128).abs() < 199 * 3 * 128, "{inputs}");
    assert!(dataset.manifest.pictures.iter().any(|picture| picture.split == Split::Val));
}

#[test]
fn a_jpeg_that_was_cut_short_is_left_out() {
    let whole = encoded(drawing(9), ImageFormat::Jpeg);
    for share in [3, 6, 9] {
        let mut all = ordinary();
        all.push(("cut.jpg".to_owned(), whole[..whole.len() * share / 10].to_vec()));
        let manifest = imported(&zip(&all)).unwrap().1.manifest;
        assert_eq!(manifest.pictures.len(), 8);
        let told = manifest.report.problems[0].to_string();
        assert!(told.starts_with("cut.jpg: is cut short"), "{told}");
    }
}

#[test]
fn formats_are_recognised_by_content_and_unsupported_ones_are_named() {
    let heic = [b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".as_slice(), &[0; 100]].concat();
    let mut all = ordinary();
    for (name, content) in
        [("a.HEIC", &heic[..]), ("b.jpg", &heic), ("c.png", b"<html>403</html>"), ("d.bmp", b"")]
    {
        all.push((name.to_owned(), content.to_vec()));
    }
    all.push(("no extension".to_owned(), png(99)));
    all.push(("holiday.jfif".to_owned(), encoded(drawing(7), ImageFormat::Jpeg)));
    let manifest = imported(&zip(&all)).unwrap().1.manifest;
    assert_eq!(manifest.pictures.len(), 10);
    let told: Vec<_> = manifest.report.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "a.HEIC: is a HEIC picture, which cannot be read; convert it to JPEG or PNG; it was left out",
            "b.jpg: is a HEIC picture, which cannot be read; convert it to JPEG or PNG; it was left out",
            "c.png: is a web page, not a picture; it was left out",
            "d.bmp: is an empty file, not a picture; it was left out",
        ]
    );
}

#[test]
fn pictures_of_one_colour_are_imported_and_reported() {
    let transparent = ImageBuffer::from_pixel(20, 20, Rgba([200u8, 0, 0, 0]));
    let (_place, dataset, _) =
        with_picture("clear.png", &encoded(DynamicImage::from(transparent), ImageFormat::Png));
    let told = dataset.manifest.report.problems[0].to_string();
    assert!(told.starts_with("clear.png: is nearly all one colour"), "{told}");
}

#[test]
fn boxes_drawn_on_the_picture_as_stored_are_turned_with_it() {
    // The box is in the upper half of the stored picture (64 × 32): the right half of the upright picture (32 × 64).
    let rows = |header: &str, row: &str| {
        let rows: Vec<String> = (0..4).map(|number| format!("{number}.jpg,{row}\n")).collect();
        format!("image_path,{header}\n{}", rows.concat()).into_bytes()
    };
    for table in [rows("width,height,x1,y1,w,h", "64,32,4,0,56,16"), rows("x1,y1,w,h", "4,0,56,16")]
    {
        let mut all: Vec<(String, Vec<u8>)> = (0..4)
            .map(|number| {
                let mut jpeg = rotated_jpeg(6);
                jpeg.extend([number; 4]); // Makes every file different.
                (format!("{number}.jpg"), jpeg)
            })
            .collect();
        all.push(("labels.csv".to_owned(), table));
        let manifest = imported(&zip(&all)).unwrap().1.manifest;
        let face: [f32; 4] = manifest.pictures[0].faces[0].into();
        let expected = [4.0 / 64.0, 0.5, 60.0 / 64.0, 1.0];
        assert!(face.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{face:?}");
        let note = &manifest.report.notes[0];
        assert!(note.contains("4 boxes were drawn on pictures as they are stored"), "{note}");
    }
}
