//! Whole data sets: splits, hashes, crashes and cancelled imports.

use std::fs;
use std::ops::ControlFlow;
use std::sync::Mutex;

use blazetune::data::import::{import, work_folder};
use blazetune::data::options::{ImportError, ImportOptions};
use blazetune::data::{Counts, ImportedDataset, Split, Splits};
use blazetune::disk;

use crate::support::{Place, csv, files, gzipped, imported, ordinary, png, refusal, tar, zip};

#[test]
fn every_kind_of_archive_gives_the_same_data_set_with_any_number_of_threads() {
    let all = ordinary();
    let mut backwards = all.clone();
    backwards.reverse();
    let archives = [zip(&all), tar(&all), gzipped(&tar(&all)), zip(&backwards)];
    let mut seen = Vec::new();
    for archive in &archives {
        for threads in [1, 5] {
            let place = Place::with(archive);
            place.import(&ImportOptions { threads, ..ImportOptions::default() }).unwrap();
            let read = |name: &str| fs::read(place.dir().join(name)).unwrap();
            seen.push(["manifest.json", "pictures.u8", "inputs.u8"].map(read));
        }
    }
    assert!(seen.iter().all(|set| *set == seen[0]));
}

#[test]
fn labelled_keypoints_are_kept_as_fractions_of_the_picture() {
    let table = "image_path,x1,y1,w,h,nose_x,nose_y\n\
        a.png,4,4,8,8,8,9\na.png,20,20,8,8,,\nb.png,4,4,8,8,,\n";
    let all = files(&[("a.png", &png(10)), ("b.png", &png(90)), ("faces.csv", table.as_bytes())]);
    let manifest = imported(&zip(&all)).unwrap().1.manifest;
    let picture = |name: &str| manifest.pictures.iter().find(|p| p.name == name).unwrap();
    let (a, b) = (picture("a.png"), picture("b.png"));
    let nose = Some([8.0 / a.width as f32, 9.0 / a.height as f32]);
    assert_eq!(a.keypoints, [[None, None, nose, None, None, None], [None; 6]]);
    assert!(b.keypoints.is_empty());
}

#[test]
fn the_content_hash_changes_with_every_part_of_the_content() {
    let hash =
        |files: &crate::support::Files| imported(&zip(files)).unwrap().1.manifest.content_hash;
    let all = ordinary();
    let mut hashes = vec![hash(&all)];
    for change in [
        |files: &mut crate::support::Files| files[3].1 = png(61),
        |files: &mut crate::support::Files| files[3].0 = "images/x.png".to_owned(),
        |files: &mut crate::support::Files| drop(files.remove(7)),
        |files: &mut crate::support::Files| {
            files[8].1 = String::from_utf8(files[8].1.clone()).unwrap().replace("12", "13").into();
        },
        |files: &mut crate::support::Files| files[8].0 = "train.csv".to_owned(),
    ] {
        let mut changed = all.clone();
        change(&mut changed);
        hashes.push(hash(&changed));
    }
    assert_eq!(hashes[5], hashes[0], "the table's name is not content");
    hashes.pop();
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), 5);
    assert_eq!(hashes[0].len(), 64);
}

#[test]
fn the_summary_counts_pictures_faces_and_sizes() {
    // At 128 pixels, a picture of 40 × 30 pixels is scaled by 3.2.
    let rows =
        "a.png,2,2,0.9,0.9\na.png,1,1,1.8,1\na.png,5,5,3,3\nb.png,0,0,30,30\nb.png,9,9,6,7\n";
    let all = files(&[
        ("train.csv", &csv(rows)),
        ("val.csv", &csv("c.png,1,1,10,10\n")),
        ("a.png", &png(1)),
        ("b.png", &png(2)),
        ("c.png", &png(3)),
        ("d.png", &png(4)),
    ]);
    let (_place, dataset) = imported(&zip(&all)).unwrap();
    let summary = dataset.manifest.summary();
    assert_eq!((summary.images, summary.faces, summary.negatives), (4, 6, 1));
    let train = Counts { images: 3, faces: 5 };
    assert_eq!(
        summary.splits,
        Splits { train, val: Counts { images: 1, faces: 1 }, test: Counts::default() }
    );
    let sizes: Vec<_> =
        summary.face_sizes.iter().map(|bar| (bar.from, bar.to, bar.count)).collect();
    assert_eq!(
        sizes,
        [
            (0, Some(3), 1),
            (3, Some(6), 1),
            (6, Some(12), 1),
            (12, Some(24), 1),
            (24, Some(48), 1),
            (48, None, 1)
        ]
    );
}

#[test]
fn the_seeded_split_is_stable_and_has_faces_on_both_sides() {
    let splits = |files, seed| {
        let options = ImportOptions { seed, ..ImportOptions::default() };
        let manifest = Place::with(&zip(files)).import(&options).unwrap();
        manifest
            .pictures
            .into_iter()
            .map(|picture| (picture.name, picture.split))
            .collect::<Vec<_>>()
    };
    let all = ordinary();
    assert_eq!(splits(&all, 0), splits(&all, 0));
    assert!((1..20).any(|seed| splits(&all, seed) != splits(&all, 0)));
    let two = files(&[
        ("a.png", &png(1)),
        ("b.png", &png(2)),
        ("annotations.csv", &csv("a.png,1,1,9,9\nb.png,1,1,9,9\n")),
    ]);
    let mut sides: Vec<_> = splits(&two, 3).into_iter().map(|(_, split)| split).collect();
    sides.sort();
    assert_eq!(sides, [Split::Train, Split::Val]);
}

#[test]
fn the_refusal_of_an_unusable_archive_says_what_is_missing() {
    let (a, b) = (png(1), png(2));
    let table = |rows: &str| csv(rows);
    let text = refusal(&zip(&files(&[("a.png", &a)])));
    assert!(text.contains("image_path,x1,y1,w,h, COCO JSON"), "{text}");
    let text = refusal(&zip(&files(&[("a.png", &a), ("images.csv", b"image_path,w\n")])));
    assert!(text.contains("images.csv begins with \"image_path,w\""), "{text}");
    let text = refusal(&zip(&files(&[("annotations.csv", &table(""))])));
    assert!(text.contains("no pictures (JPEG"), "{text}");
    let text =
        refusal(&zip(&files(&[("a.png", b"x"), ("annotations.csv", &table("a.png,1,1,2,2\n"))])));
    assert!(
        text.contains("none of the archive's 1 pictures can be used; the first, a.png, cannot"),
        "{text}"
    );
    let text = refusal(&zip(&files(&[("a.png", &a), ("annotations.csv", &table(""))])));
    assert!(text.contains("no picture has a usable face: the annotations have no rows"), "{text}");
    let text = refusal(&zip(&files(&[
        ("a.png", &a),
        ("annotations.csv", &table("x/b.png,1,1,2,2\na.png,,,,\n")),
    ])));
    assert!(
        text.contains("annotations.csv, row 2: the archive holds no picture \"x/b.png\"; the nearest name is a.png"),
        "{text}"
    );
    let text =
        refusal(&zip(&files(&[("a.png", &a), ("annotations.csv", &table("a.png,1,1,2,2\n"))])));
    assert!(text.contains("only one picture with a face can be used, a.png"), "{text}");
    let both = [
        ("train.csv", table("a.png,1,1,2,2\nc.png,1,1,2,2\n")),
        ("val.csv", table("b.png,90,90,2,2\n")),
    ];
    let text = refusal(&zip(&files(&[
        ("a.png", &a),
        ("b.png", &b),
        ("c.png", &png(3)),
        (both[0].0, &both[0].1),
        (both[1].0, &both[1].1),
    ])));
    assert!(text.contains("no usable validation picture with a face"), "{text}");
}

#[test]
fn files_that_a_killed_import_left_behind_are_removed() {
    let place = Place::with(&zip(&ordinary()));
    let work = work_folder(&place.dir());
    for left in [work.clone(), format!("{}.deleted", work.display()).into()] {
        fs::create_dir(&left).unwrap();
        fs::write(left.join("pictures.u8"), b"half").unwrap();
    }
    assert!(ImportedDataset::open(&place.dir()).is_err(), "half a data set cannot be opened");
    place.import(&ImportOptions::default()).unwrap();
    assert_eq!(place.left(), ["set"]);
}

#[test]
fn an_existing_data_set_is_not_replaced() {
    let place = Place::with(&zip(&ordinary()));
    let first = place.import(&ImportOptions::default()).unwrap();
    let again = place.import(&ImportOptions::default()).unwrap_err();
    assert!(matches!(again, ImportError::Disk(_)), "{again}");
    assert_eq!(ImportedDataset::open(&place.dir()).unwrap().manifest, first);
    assert_eq!(place.left(), ["set"]);
}

#[test]
fn an_import_can_be_cancelled_at_any_time() {
    let calls = Mutex::new(0);
    for archive in [zip(&ordinary()), gzipped(&tar(&ordinary()))] {
        let place = Place::with(&archive);
        let run = |after: u32| {
            *calls.lock().unwrap() = 0;
            import(&place.path().join("upload"), &place.dir(), &ImportOptions::default(), &|_| {
                let mut calls = calls.lock().unwrap();
                *calls += 1;
                if *calls > after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
        };
        // Progress is reported for nine files in the first pass and for eight decoded pictures.
        for after in 0..17 {
            assert!(matches!(run(after), Err(ImportError::Cancelled)), "after {after}");
            assert_eq!(place.left(), [""; 0]);
        }
        run(17).unwrap();
    }
}

#[test]
fn progress_is_reported_picture_by_picture() {
    let place = Place::with(&zip(&ordinary()));
    let seen = Mutex::new(Vec::new());
    import(&place.path().join("upload"), &place.dir(), &ImportOptions::default(), &|progress| {
        seen.lock().unwrap().push((progress.done, progress.total));
        ControlFlow::Continue(())
    })
    .unwrap();
    let mut seen = seen.into_inner().unwrap();
    seen.retain(|&(_, total)| total > 0);
    seen.sort_unstable();
    assert_eq!(seen, (1..=8).map(|done| (done, 8)).collect::<Vec<_>>());
}

#[test]
fn a_damaged_data_set_is_not_opened() {
    let (place, dataset) = imported(&zip(&ordinary())).unwrap();
    let cache = place.dir().join("pictures.u8");
    let length = fs::metadata(&cache).unwrap().len();
    assert_eq!(length, 8 * 256 * 256 * 3);
    fs::OpenOptions::new().write(true).open(&cache).unwrap().set_len(length - 1).unwrap();
    let text = ImportedDataset::open(&place.dir()).unwrap_err().to_string();
    assert!(text.contains("1572863 bytes instead of 1572864"), "{text}");
    assert!(dataset.picture(7).is_err());
    fs::OpenOptions::new().write(true).open(&cache).unwrap().set_len(length).unwrap();
    let manifest = place.dir().join("manifest.json");
    let newer = fs::read_to_string(&manifest)
        .unwrap()
        .replace("\"format_version\":1", "\"format_version\":9");
    fs::write(&manifest, newer).unwrap();
    let text = ImportedDataset::open(&place.dir()).unwrap_err().to_string();
    assert!(text.contains("format 9"), "{text}");
    disk::remove_folder(&place.dir()).unwrap();
    assert_eq!(place.left(), [""; 0]);
}
