//! The same picture under several names.

use blazetune::data::Split;
use blazetune::data::options::ImportOptions;

use crate::support::{Files, Place, csv, files, imported, ordinary, png, zip};

/// [`ordinary`] with copies of its first two pictures, before and after them.
fn with_copies(rows: &str) -> Files {
    let mut all = ordinary();
    let (first, second) = (all[0].1.clone(), all[1].1.clone());
    all.insert(0, ("copies/0.png".to_owned(), first));
    all.push(("z/1.png".to_owned(), second.clone()));
    all.push(("z/11.png".to_owned(), second));
    let table = all.iter_mut().find(|(name, _)| name == "annotations.csv").unwrap();
    table.1.extend_from_slice(rows.as_bytes());
    all
}

#[test]
fn identical_pictures_are_imported_once_and_named_in_the_report() {
    let (_other, alone) = imported(&zip(&ordinary())).unwrap();
    let (_place, dataset) = imported(&zip(&with_copies(""))).unwrap();
    let names: Vec<_> = dataset.manifest.pictures.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names.len(), 8);
    assert_eq!(names[0], "copies/0.png", "the first path is kept");
    assert!(!names.contains(&"images/0.png") && names.contains(&"images/1.png"), "{names:?}");
    let report = &dataset.manifest.report;
    assert_eq!(report.counts["identical picture"], 3);
    assert_eq!(report.counts.len(), 1, "{report:?}");
    let told = report.problems[0].to_string();
    assert_eq!(told, "images/0.png: is the same picture as copies/0.png; it was imported once");
    for index in 0..8 {
        let faces = &dataset.manifest.pictures[index].faces;
        assert_eq!(*faces, alone.manifest.pictures[index].faces, "rows of any copy count");
        assert_eq!(dataset.picture(index).unwrap(), alone.picture(index).unwrap());
    }
}

#[test]
fn the_order_in_the_archive_and_the_number_of_threads_change_nothing() {
    let all = with_copies("");
    let mut backwards = all.clone();
    backwards.reverse();
    let mut seen = Vec::new();
    for archive in [zip(&all), zip(&backwards)] {
        for threads in [1, 5] {
            let place = Place::with(&archive);
            place.import(&ImportOptions { threads, ..ImportOptions::default() }).unwrap();
            let read = |name: &str| std::fs::read(place.dir().join(name)).unwrap();
            seen.push(["manifest.json", "pictures.u8", "inputs.u8"].map(read));
        }
    }
    assert!(seen.iter().all(|set| *set == seen[0]));
}

#[test]
fn conflicting_boxes_of_identical_pictures_are_reported_by_row() {
    let rows = "copies/0.png,0,5,10,12\nz/1.png,1,5,10,13\n";
    let manifest = imported(&zip(&with_copies(rows))).unwrap().1.manifest;
    assert_eq!(manifest.report.counts["conflicting boxes"], 1);
    let told: Vec<_> = manifest.report.problems.iter().map(ToString::to_string).collect();
    let expected = "annotations.csv, row 9: the boxes of z/1.png differ from those of the identical picture \
        images/1.png in annotations.csv, row 3; the latter were used";
    assert!(told.iter().any(|problem| problem == expected), "{told:?}");
}

#[test]
fn a_validation_picture_is_not_trained_on_under_another_name() {
    let all = files(&[
        ("a/1.png", &png(10)),
        ("a/2.png", &png(90)),
        ("b/1.png", &png(10)),
        ("train.csv", &csv("a/1.png,4,4,8,8\na/2.png,4,4,8,8\n")),
        ("val.csv", &csv("b/1.png,4,4,8,8\n")),
    ]);
    let manifest = imported(&zip(&all)).unwrap().1.manifest;
    let pictures: Vec<_> =
        manifest.pictures.iter().map(|picture| (picture.name.as_str(), picture.split)).collect();
    assert_eq!(pictures, [("a/2.png", Split::Train), ("b/1.png", Split::Val)]);
    let told = manifest.report.problems[0].to_string();
    assert!(told.ends_with("imported once, and is not trained on"), "{told}");
}

#[test]
fn every_copy_of_a_bad_picture_is_left_out() {
    let mut all = ordinary();
    all.push(("x/1.png".to_owned(), b"no picture".to_vec()));
    all.push(("x/2.png".to_owned(), b"no picture".to_vec()));
    let manifest = imported(&zip(&all)).unwrap().1.manifest;
    assert_eq!(manifest.pictures.len(), 8);
    assert_eq!(manifest.report.counts["bad picture"], 2);
}
