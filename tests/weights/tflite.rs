//! `.tflite`.

use std::fs;
use std::path::PathBuf;

use blazetune::eval::detect::Detector;
use blazetune::model::layout::ANCHORS;
use blazetune::weights::export::{Format, Notes};
use blazetune::weights::tflite::About;
use blazetune::weights::{self, tflite};

use crate::common::shared;
use crate::support::{
    Expected, Python, bits, compare_faces, export, floats, open, path, pictures, square, tuned,
    twenty,
};

const TFLITES: [Format; 3] = [Format::Tflite, Format::TfliteFloat32, Format::TfliteInt8];

#[test]
fn an_exported_tflite_gives_our_outputs_in_mediapipe() {
    let Some(python) = Python::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let pictures = pictures();
    let squares: Vec<PathBuf> =
        pictures.iter().map(|file| square(file, 128, folder.path())).collect();
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
        let excess = Expected::new(&weights, &picture).excess(theirs);
        assert!(excess < 1.0, "{}: {excess} × what rounding explains", square.display());
        let excess = Expected::new(tflite::mediapipe(), &picture).excess(theirs);
        assert!(excess > 100.0, "{}: the base model's outputs, {excess}", square.display());
    }
}

#[test]
fn mediapipe_finds_our_faces_with_every_exported_tflite() {
    let Some(python) = Python::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let files = twenty(folder.path());
    for format in TFLITES {
        let exported = folder.path().join(format!("tuned.{}", format.ending()));
        fs::write(&exported, format.write(&tuned(), &notes()).unwrap()).unwrap();
        let weights = weights::load(&fs::read(&exported).unwrap()).unwrap();
        let faces = compare_faces(&python, &exported, &Detector::new(&weights).unwrap(), &files);
        assert!(faces >= 15, "{format:?}: only {faces} faces");
    }
}

#[test]
fn mediapipes_own_library_reads_the_metadata_of_an_exported_tflite() {
    let Some(python) = Python::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    for format in TFLITES {
        let (file, out) = (folder.path().join("tuned.tflite"), folder.path().join("out.json"));
        fs::write(&file, format.write(&tuned(), &notes()).unwrap()).unwrap();
        python.run("metadata.py", &[path(&file), path(&out)]);
        let said: serde_json::Value = serde_json::from_slice(&fs::read(out).unwrap()).unwrap();
        assert_eq!((&said["name"], &said["version"]), (&"tuned".into(), &"1.2".into()));
        let graph = &said["subgraph_metadata"][0];
        let unit = &graph["input_tensor_metadata"][0]["process_units"][0]["options"];
        assert_eq!((&unit["mean"][0], &unit["std"][0]), (&127.5.into(), &127.5.into()));
        let unit = &graph["output_tensor_metadata"][1]["process_units"][0]["options"];
        assert_eq!(unit["global_score_threshold"], 0.25);
    }
}

#[test]
fn mediapipes_own_file_comes_back_bit_for_bit() {
    let weights = weights::load(tflite::base()).unwrap();
    assert!(tflite::write(tflite::base(), &weights).unwrap() == tflite::base());
    // Also by way of every format that can hold these weights exactly.
    for format in [Format::Safetensors, Format::Pth, Format::TfliteFloat32, Format::Tflite] {
        let bytes = format.write(&weights, &notes()).unwrap();
        let again = weights::load(&bytes).unwrap();
        assert!(tflite::write(tflite::base(), &again).unwrap() == tflite::base(), "{format:?}");
    }
}

fn notes() -> Notes {
    let (name, version) = ("tuned".into(), "1.2".into());
    let about = About { name, version, threshold: Some(0.25), ..About::default() };
    Notes { about, ..Notes::default() }
}

#[test]
fn kernels_of_8_bits_are_within_half_a_step_and_come_back_bit_for_bit() {
    let bytes = Format::TfliteInt8.write(&tuned(), &notes()).unwrap();
    assert!(bytes.len() * 4 < tflite::base().len() * 3, "{} bytes", bytes.len());
    let read = weights::load(&bytes).unwrap();
    for (name, array) in tuned().arrays() {
        let kept = &read.arrays()[name].values;
        if array.shape.len() == 1 {
            assert!(bits(kept) == bits(&array.values), "{name} has other values");
            continue;
        }
        let channel = array.values.len() / array.shape[0];
        for (ours, kept) in array.values.chunks(channel).zip(kept.chunks(channel)) {
            let half = ours.iter().fold(0.0f32, |most, value| most.max(value.abs())) / 254.0;
            let near = |(a, b): (&f32, &f32)| (a - b).abs() <= half * 1.001;
            assert!(ours.iter().zip(kept).all(near), "{name}: {ours:?} became {kept:?}");
        }
    }
    assert!(Format::TfliteInt8.write(&read, &notes()).unwrap() == bytes);
}

#[test]
fn faces_in_photographs_match_mediapipes() {
    let Some(photographs) = shared("data/wider_val/images") else { return };
    let Some(python) = Python::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("base.tflite");
    fs::write(&model, tflite::base()).unwrap();
    let files = walkdir::WalkDir::new(photographs).sort_by_file_name().into_iter();
    let files = files.map(|entry| entry.unwrap().into_path()).filter(|file| file.is_file());
    let files: Vec<PathBuf> = files.collect();
    let faces =
        compare_faces(&python, &model, &Detector::new(tflite::mediapipe()).unwrap(), &files);
    assert!(faces >= 200, "only {faces} faces");
}
