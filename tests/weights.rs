//! Weights files against those who will read them: the real PyTorch and the real MediaPipe, in
//! `.deps/venv` (`make setup-test`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use blazetune::data::resample;
use blazetune::eval::detect::Detector;
use blazetune::eval::suppression::Detection;
use blazetune::model::layout::{self, ANCHORS};
use blazetune::model::network::{Mode, Network, array, to_input};
use blazetune::model::tensors::Weights;
use blazetune::weights::{self, WeightsError, pth, safetensors, tflite};
use half::{bf16, f16};
use image::RgbImage;
use tch::{Device, Tensor};

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
fn what_torch_saves_is_read() {
    let Some(python) = Python::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let ours = folder.path().join("ours.pth");
    fs::write(&ours, pth::write(&tuned()).unwrap()).unwrap();
    python.run("torch_files.py", &["write", path(&ours), path(folder.path())]);

    let load = |name: &str| weights::load(&fs::read(folder.path().join(name)).unwrap());
    for name in ["plain", "parameters", "double", "channels_last", "one_storage", "checkpoint"] {
        let read = load(&format!("{name}.pth")).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert!(read == tuned(), "{name} has other values");
    }
    let rounded = |round: fn(f32) -> f32| map(&tuned(), |_, value| round(value));
    assert!(load("half.pth").unwrap() == rounded(|value| f16::from_f32(value).to_f32()));
    assert!(load("bfloat16.pth").unwrap() == rounded(|value| bf16::from_f32(value).to_f32()));
    assert!(matches!(load("legacy.pth"), Err(WeightsError::LegacyPth)));
    let error = load("module.pth").unwrap_err().to_string();
    assert!(error.contains("torch.nn.modules.conv.Conv2d"), "{error}");
}

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

#[test]
fn mediapipes_weights_are_the_published_ports_to_the_bit() {
    let Some(file) = shared("weights/mediapipe_short_range_zip_format.pth") else { return };
    let port = weights::load(&fs::read(file).unwrap()).unwrap();
    for (name, array) in tflite::mediapipe().arrays() {
        let theirs = &port.arrays()[name];
        assert_eq!(array.shape, theirs.shape, "{name}");
        assert!(bits(&array.values) == bits(&theirs.values), "{name} has other values");
    }
}

/// `MediaPipe`'s weights, moved so far that every output differs, but not so far that no face is
/// found; and not to values that 16 bits can hold.
fn tuned() -> Weights {
    let wave = |index: usize| (index as f32 * 0.7).sin();
    map(tflite::mediapipe(), |index, value| value * (1.01 + 0.01 * wave(index)))
}

fn map(weights: &Weights, change: impl Fn(usize, f32) -> f32) -> Weights {
    let mut arrays = weights.arrays().clone();
    for array in arrays.values_mut() {
        for (index, value) in array.values.iter_mut().enumerate() {
            *value = change(index, *value);
        }
    }
    Weights::new(arrays).unwrap()
}

fn export(folder: &Path) -> PathBuf {
    let file = folder.join("tuned.tflite");
    fs::write(&file, tflite::write(tflite::base(), &tuned()).unwrap()).unwrap();
    file
}

fn published_names() -> Vec<String> {
    let both = |conv: layout::Conv| ["weight", "bias"].map(|what| format!("{}.{what}", conv.name));
    layout::convs().into_iter().flat_map(both).collect()
}

/// Every face that one finds, the other finds too, where and as surely as the other; but for
/// scores so near the threshold that rounding may decide. Answers how many `MediaPipe` found.
fn compare_faces(python: &Python, model: &Path, ours: &Detector, files: &[PathBuf]) -> usize {
    tch::set_num_threads(1); // Several would mostly wait for each other, with tests side by side.
    let folder = tempfile::tempdir().unwrap();
    let answers = folder.path().join("faces.json");
    // JPEG decoders differ by rounding, enough to merge two faces or not, once in hundreds.
    let copy = |(number, file): (usize, &PathBuf)| {
        let copy = folder.path().join(format!("{number}.png"));
        open(file).save(&copy).unwrap();
        copy
    };
    let copies: Vec<PathBuf> = files.iter().enumerate().map(copy).collect();
    let mut arguments = vec!["faces", path(model), path(&answers)];
    arguments.extend(copies.iter().map(|file| path(file)));
    python.run("answers.py", &arguments);
    let theirs: Vec<Vec<Detection>> = serde_json::from_slice(&fs::read(answers).unwrap()).unwrap();
    assert_eq!(theirs.len(), files.len());
    for (file, theirs) in files.iter().zip(&theirs) {
        let ours = ours.detect(&open(file), MIN_SCORE);
        let name = file.display();
        for (some, others) in [(theirs, &ours), (&ours, theirs)] {
            for face in some.iter().filter(|face| face.score > MIN_SCORE + SCORE_GAP) {
                let found = others.iter().any(|other| is_same(face, other));
                assert!(found, "{name}: MediaPipe finds {theirs:?}, we find {ours:?}");
            }
        }
    }
    theirs.iter().map(Vec::len).sum()
}

const MIN_SCORE: f32 = 0.5;
const SCORE_GAP: f32 = 0.03;

fn is_same(a: &Detection, b: &Detection) -> bool {
    let near = |a: &[f32; 2], b: &[f32; 2]| (a[0] - b[0]).hypot(a[1] - b[1]) < 0.02;
    a.rect.iou(&b.rect) > 0.9
        && (a.score - b.score).abs() < SCORE_GAP
        && a.keypoints.iter().zip(&b.keypoints).all(|(a, b)| near(a, b))
}

/// As `make_golden.py` has it: of each anchor the logit, then the coordinates.
fn raw(weights: &Weights, picture: &RgbImage) -> Vec<f32> {
    let input = to_input(&Tensor::from_slice(picture.as_raw()).reshape([1, 128, 128, 3]));
    let network = Network::folded(weights, Device::Cpu);
    let outputs = tch::no_grad(|| network.forward(&input, Mode::Evaluate));
    let (logits, coordinates) = (array(&outputs.logits), array(&outputs.coordinates));
    let anchors = logits.values.iter().zip(coordinates.values.chunks_exact(16));
    anchors.flat_map(|(logit, numbers)| [&[*logit], numbers].concat()).collect()
}

/// In units of what rounding may do: 0.001, and more where numbers are large, as they become where
/// a picture has wide black bars.
fn largest_gap(a: &[f32], b: &[f32]) -> f32 {
    let gap = |(a, b): (&f32, &f32)| (a - b).abs() / (1e-3 + 1e-5 * a.abs());
    a.iter().zip(b).map(gap).fold(0.0, f32::max)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn pictures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/golden/pictures");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|extension| extension != "md")).collect();
    files.sort();
    files
}

/// The picture as the network sees it, without loss.
fn square(file: &Path, folder: &Path) -> PathBuf {
    let bytes = resample::letterbox(&open(file), 128);
    let square = folder.join(file.file_name().unwrap()).with_extension("png");
    RgbImage::from_raw(128, 128, bytes).unwrap().save(&square).unwrap();
    square
}

fn open(file: &Path) -> RgbImage {
    image::open(file).unwrap().into_rgb8()
}

fn floats(file: &Path) -> Vec<f32> {
    let bytes = fs::read(file).unwrap();
    bytes.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Pictures and weights that are not ours to publish, where they lie beside the checkout.
fn shared(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let places = ["../shared", "../../shared"].map(|shared| root.join(shared).join(name));
    let found = places.into_iter().find(|place| place.exists());
    if found.is_none() {
        skip(&format!("../shared/{name} is not here"));
    }
    found
}

/// The interpreter that `make setup-test` equips.
struct Python(PathBuf);

impl Python {
    /// `None` where set-up was not run; on CI that is an error.
    fn find() -> Option<Self> {
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".deps/venv/bin/python");
        if python.exists() {
            return Some(Self(python));
        }
        assert!(std::env::var_os("CI").is_none(), "{} is missing", python.display());
        skip("no .deps/venv; run `make setup-test` once");
        None
    }

    fn run(&self, script: &str, arguments: &[&str]) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity");
        let mut command = Command::new(&self.0);
        command.arg("-B").arg(folder.join(script)).args(arguments); // -B: leaves no bytecode
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {errors}");
    }
}

#[expect(clippy::print_stderr, reason = "a skipped test must say so")]
fn skip(reason: &str) {
    eprintln!("SKIPPED: {reason}");
}
