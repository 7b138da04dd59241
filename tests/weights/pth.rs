//! `.pth` and `.safetensors`.

use std::collections::BTreeMap;
use std::fs;

use blazetune::model::layout::{BACK, SHORT};
use blazetune::weights::{self, pth, safetensors, tflite};
use half::{bf16, f16};

use crate::common::shared;
use crate::support::{Python, bits, floats, map, path, published_names, tuned};

#[test]
fn torch_loads_a_pth_as_the_published_state_dict() {
    let Some(python) = Python::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("ours.pth"), folder.path().join("theirs"));
    fs::write(&file, pth::write(&tuned()).unwrap()).unwrap();
    python.run("torch_files.py", &["read", path(&file), path(&out)]);

    let bytes = safetensors::write(&tuned(), &BTreeMap::new()).unwrap();
    let expected = safetensors::read(&bytes).unwrap();
    let listed = fs::read(out.with_extension("json")).unwrap();
    let listed: Vec<(String, Vec<usize>, String)> = serde_json::from_slice(&listed).unwrap();
    let names: Vec<&str> = listed.iter().map(|(name, _, _)| name.as_str()).collect();
    assert_eq!(names, published_names());
    let values = floats(&out.with_extension("f32"));
    let mut rest = values.as_slice();
    for (name, shape, kind) in &listed {
        let array = &expected.arrays()[name];
        let (these, others) = rest.split_at(array.values.len());
        assert_eq!((shape, kind.as_str()), (&array.shape, "torch.float32"), "{name}");
        assert!(bits(these) == bits(&array.values), "{name} has other values");
        rest = others;
    }
    assert!(rest.is_empty());
}

#[test]
fn every_state_dict_that_torch_saves_is_read() {
    let Some(python) = Python::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let ours = folder.path().join("ours.pth");
    fs::write(&ours, pth::write(&tuned()).unwrap()).unwrap();
    python.run("torch_files.py", &["write", path(&ours), path(folder.path())]);

    let load = |name: &str| weights::load(&fs::read(folder.path().join(name)).unwrap());
    for name in [
        "plain",
        "parameters",
        "double",
        "channels_last",
        "one_storage",
        "checkpoint",
        "legacy",
        "trained",
    ] {
        let read = load(&format!("{name}.pth")).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert!(read == tuned(), "{name} has other values");
    }
    let folded = load("batch_norm.pth").unwrap();
    for (name, array) in tuned().arrays() {
        let ours = &folded.arrays()[name].values;
        let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-6 * b.abs().max(1.0);
        assert!(ours.iter().zip(&array.values).all(near), "{name} is folded wrongly");
    }
    let rounded = |round: fn(f32) -> f32| map(&tuned(), |_, value| round(value));
    assert!(load("half.pth").unwrap() == rounded(|value| f16::from_f32(value).to_f32()));
    assert!(load("bfloat16.pth").unwrap() == rounded(|value| bf16::from_f32(value).to_f32()));
    let error = load("module.pth").unwrap_err().to_string();
    assert!(error.contains("torch.nn.modules.conv.Conv2d"), "{error}");
}

#[test]
fn every_published_port_is_read_and_the_short_range_one_equals_mediapipes_own() {
    let Some(folder) = shared("weights") else { return };
    let load = |name: &str| weights::load(&fs::read(folder.join(name)).unwrap()).unwrap();
    let back = load("hollance_back_256.pth");
    assert_eq!((back.layout(), back.arrays().len()), (&BACK, 138));
    // Published in 2019, from an earlier MediaPipe file.
    let old = load("hollance_2019_legacy_format.pth");
    assert_eq!((old.layout(), old.arrays().len()), (&SHORT, 74));
    let port = load("mediapipe_short_range_zip_format.pth");
    for (name, array) in tflite::mediapipe().arrays() {
        let theirs = &port.arrays()[name];
        assert_eq!(array.shape, theirs.shape, "{name}");
        assert!(bits(&array.values) == bits(&theirs.values), "{name} has other values");
    }
}
