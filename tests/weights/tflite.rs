//! `.tflite`.

use std::fs;
use std::path::PathBuf;

use blazetune::eval::detect::Detector;
use blazetune::model::layout::ANCHORS;
use blazetune::weights::{self, tflite};

use crate::support::{
    Python, compare_faces, export, floats, largest_gap, open, path, pictures, raw, shared, square,
};

#[test]
fn an_exported_tflite_answers_in_mediapipe_as_our_network_does() {
    let Some(python) = Python::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let pictures = pictures();
    let squares: Vec<PathBuf> = pictures.iter().map(|file| square(file, folder.path())).collect();
    let exported = export(folder.path());
    let answers = folder.path().join("raw.f32");
    let mut arguments = vec!["raw", path(&exported), path(&answers)];
    arguments.extend(squares.iter().map(|file| path(file)));
    python.run("answers.py", &arguments);

    let weights = weights::load(&fs::read(&exported).unwrap()).unwrap();
    let theirs = floats(&answers);
    assert_eq!(theirs.len(), squares.len() * ANCHORS * 17);
    for (square, theirs) in squares.iter().zip(theirs.chunks_exact(ANCHORS * 17)) {
        let picture = open(square);
        let gap = largest_gap(theirs, &raw(&weights, &picture));
        assert!(gap < 1.0, "{}: off by {gap} times what rounding may do", square.display());
        let gap = largest_gap(theirs, &raw(tflite::mediapipe(), &picture));
        assert!(gap > 100.0, "{}: as if it were not tuned", square.display());
    }
}

#[test]
fn faces_that_mediapipe_finds_with_an_exported_tflite_are_ours() {
    let Some(python) = Python::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let exported = export(folder.path());
    let weights = weights::load(&fs::read(&exported).unwrap()).unwrap();
    let faces = compare_faces(&python, &exported, &Detector::new(&weights), &pictures());
    assert!(faces >= 6, "only {faces} faces");
}

#[test]
fn faces_in_photographs_are_mediapipes() {
    let Some(photographs) = shared("data/wider_val/images") else { return };
    let Some(python) = Python::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("base.tflite");
    fs::write(&model, tflite::base()).unwrap();
    let files = walkdir::WalkDir::new(photographs).sort_by_file_name().into_iter();
    let files = files.map(|entry| entry.unwrap().into_path()).filter(|file| file.is_file());
    let files: Vec<PathBuf> = files.collect();
    let faces = compare_faces(&python, &model, &Detector::new(tflite::mediapipe()), &files);
    assert!(faces >= 200, "only {faces} faces");
}
