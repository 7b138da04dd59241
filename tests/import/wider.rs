//! Real pictures: a subset of WIDER FACE, if it is beside the checkout.

use std::fs;

use blazetune::data::{Counts, Splits};
use zip::CompressionMethod;

use crate::common::shared;
use crate::support::{Files, imported, zip_by};

#[test]
fn the_wider_subset_is_imported_whole() {
    let Some(data) = shared("data") else { return };
    let mut all = Files::new();
    for set in ["wider_train", "wider_val"] {
        for file in walkdir::WalkDir::new(data.join(set)) {
            let file = file.unwrap();
            if file.file_type().is_file() {
                let name = file.path().strip_prefix(&data).unwrap().to_str().unwrap();
                all.push((name.to_owned(), fs::read(file.path()).unwrap()));
            }
        }
    }
    let (_place, dataset) = imported(&zip_by(CompressionMethod::Stored, &all)).unwrap();
    let summary = dataset.manifest.summary();
    let train = Counts { images: 1239, faces: 6572 };
    assert_eq!(
        summary.splits,
        Splits { train, val: Counts { images: 394, faces: 5082 }, test: Counts::default() }
    );
    assert_eq!(summary.negatives, 1);
    let report = &dataset.manifest.report;
    assert!(report.problems.is_empty(), "{report:?}");
    assert_eq!(report.notes.len(), 4, "{report:?}");
}
