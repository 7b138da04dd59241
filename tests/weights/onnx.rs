//! `.onnx` in ONNX Runtime, and the weights of both variants in our own PyTorch network.

use std::fs;
use std::path::{Path, PathBuf};

use blazetune::eval::detect::Detector;
use blazetune::eval::suppression::Detection;
use blazetune::model::layout::BACK;
use blazetune::model::tensors::Weights;
use blazetune::weights;
use blazetune::weights::export::{Format, Notes};

use crate::common::shared;
use crate::support::{
    Expected, Python, compare, is_same, made_up, open, path, pictures, raw, square, tuned, twenty,
};

fn variants() -> [(&'static str, Weights); 2] {
    [("short", tuned()), ("back", made_up(&BACK))]
}

fn write(weights: &Weights, format: Format, folder: &Path) -> PathBuf {
    let file = folder.join(format!("model.{}", format.ending()));
    fs::write(&file, format.write(weights, &Notes::default()).unwrap()).unwrap();
    file
}

#[test]
fn raw_outputs_in_onnx_runtime_match_ours() {
    let Some(python) = Python::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    for (name, weights) in variants() {
        let file = write(&weights, Format::Onnx, folder.path());
        compare(&python, &["onnx_runtime.py", "raw", path(&file)], &weights, name);
    }
}

/// So [`compare`] detects such a layer.
#[test]
fn a_layer_that_is_off_by_0_05_exceeds_what_rounding_explains() {
    let folder = tempfile::tempdir().unwrap();
    for (variant, weights) in variants() {
        let side = weights.layout().input_size as u32;
        let squares: Vec<PathBuf> =
            pictures().iter().take(2).map(|file| square(file, side, folder.path())).collect();
        let expected: Vec<Expected> =
            squares.iter().map(|file| Expected::new(&weights, &open(file))).collect();
        let excess = |weights: &Weights| {
            let each = squares.iter().zip(&expected);
            each.map(|(file, expected)| expected.excess(&raw(weights, &open(file))))
                .fold(0.0, f64::max)
        };
        assert!(excess(&weights) < 0.1, "{variant}: our own rounding");
        for name in weights.arrays().keys() {
            let mut arrays = weights.arrays().clone();
            arrays.get_mut(name).unwrap().values.iter_mut().for_each(|value| *value += 0.05);
            let excess = excess(&Weights::new(arrays).unwrap());
            assert!(excess > 10.0, "{variant}, {name} + 0.05: {excess}");
        }
    }
}

#[test]
fn faces_in_onnx_runtime_match_ours() {
    let Some(python) = Python::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut models = vec![tuned()];
    // For the back camera, published weights: made-up ones find no faces to compare.
    models.extend(shared("weights/hollance_back_256.pth").map(|file| load(&file)));
    for weights in models {
        let file = write(&weights, Format::OnnxFaces, folder.path());
        let out = folder.path().join("faces.json");
        let side = weights.layout().input_size as u32;
        let squares: Vec<PathBuf> =
            twenty(folder.path()).iter().map(|file| square(file, side, folder.path())).collect();
        let mut arguments = vec!["faces", path(&file), path(&out)];
        arguments.extend(squares.iter().map(|file| path(file)));
        python.run("onnx_runtime.py", &arguments);
        let found: Vec<Vec<Detection>> = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
        let detector = Detector::new(&weights).unwrap();
        let mut faces = 0;
        for (square, theirs) in squares.iter().zip(&found) {
            let ours = detector.detect(&open(square), 0.5);
            assert_eq!(ours.len(), theirs.len(), "{}", square.display());
            for face in &ours {
                assert!(theirs.iter().any(|other| is_same(face, other)), "{ours:?} {theirs:?}");
            }
            faces += ours.len();
        }
        assert!(faces >= 15, "only {faces} faces");
    }
}

#[test]
fn a_pytorch_network_with_an_exported_state_dict_gives_our_outputs() {
    let Some(python) = Python::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    for (name, weights) in variants() {
        for format in [Format::Pth, Format::Safetensors] {
            let file = write(&weights, format, folder.path());
            compare(&python, &["torch_network.py", path(&file)], &weights, name);
        }
    }
}

fn load(file: &Path) -> Weights {
    weights::load(&fs::read(file).unwrap()).unwrap()
}
