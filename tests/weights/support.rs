//! What the tests share: weights, pictures, and the interpreter.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use blazetune::data::resample;
use blazetune::data::sample::{self, SampleSpec};
use blazetune::eval::detect::Detector;
use blazetune::eval::suppression::Detection;
use blazetune::model::layout::{ANCHORS, Conv, Layout, SHORT};
use blazetune::model::network::{Mode, Network, array, to_input};
use blazetune::model::tensors::{Array, Weights, shapes};
use blazetune::weights::tflite;
use image::RgbImage;
use tch::{Device, Tensor};

use crate::common::skip;

/// `MediaPipe`'s weights, moved so far that every output differs, but not so far that no face is
/// found; and not to values that 16 bits can hold.
pub(super) fn tuned() -> Weights {
    let wave = |index: usize| (index as f32 * 0.7).sin();
    map(tflite::mediapipe(), |index, value| value * (1.01 + 0.01 * wave(index)))
}

pub(super) fn map(weights: &Weights, change: impl Fn(usize, f32) -> f32) -> Weights {
    let mut arrays = weights.arrays().clone();
    for array in arrays.values_mut() {
        for (index, value) in array.values.iter_mut().enumerate() {
            *value = change(index, *value);
        }
    }
    Weights::new(arrays).unwrap()
}

pub(super) fn export(folder: &Path) -> PathBuf {
    let file = folder.join("tuned.tflite");
    fs::write(&file, tflite::write(tflite::base(), &tuned()).unwrap()).unwrap();
    file
}

pub(super) fn published_names() -> Vec<String> {
    let both = |conv: Conv| ["weight", "bias"].map(|what| format!("{}.{what}", conv.name));
    SHORT.convs().into_iter().flat_map(both).collect()
}

/// Every face that one finds, the other finds too, where and as surely as the other; but for
/// scores so near the threshold that rounding may decide. Answers how many `MediaPipe` found.
pub(super) fn compare_faces(
    python: &Python,
    model: &Path,
    ours: &Detector,
    files: &[PathBuf],
) -> usize {
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

pub(super) const MIN_SCORE: f32 = 0.5;
pub(super) const SCORE_GAP: f32 = 0.03;

pub(super) fn is_same(a: &Detection, b: &Detection) -> bool {
    let near = |a: &[f32; 2], b: &[f32; 2]| (a[0] - b[0]).hypot(a[1] - b[1]) < 0.02;
    a.rect.iou(&b.rect) > 0.9
        && (a.score - b.score).abs() < SCORE_GAP
        && a.keypoints.iter().zip(&b.keypoints).all(|(a, b)| near(a, b))
}

/// As `make_golden.py` has it: of each anchor the logit, then the coordinates.
pub(super) fn raw(weights: &Weights, picture: &RgbImage) -> Vec<f32> {
    let side = weights.layout().input_size as i64;
    let input = to_input(&Tensor::from_slice(picture.as_raw()).reshape([1, side, side, 3]));
    let network = Network::folded(weights, Device::Cpu);
    let outputs = tch::no_grad(|| network.forward(&input, Mode::Evaluate));
    let (logits, coordinates) = (array(&outputs.logits), array(&outputs.coordinates));
    let anchors = logits.values.iter().zip(coordinates.values.chunks_exact(16));
    anchors.flat_map(|(logit, numbers)| [&[*logit], numbers].concat()).collect()
}

/// What a script of tests/parity answers is what our network does, to `unit`.
pub(super) fn compare(python: &Python, script: &[&str], weights: &Weights, unit: f32, what: &str) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("raw.f32");
    let side = weights.layout().input_size as u32;
    let squares: Vec<PathBuf> =
        pictures().iter().map(|file| square(file, side, folder.path())).collect();
    let mut arguments = script[1..].to_vec();
    arguments.push(path(&out));
    arguments.extend(squares.iter().map(|file| path(file)));
    python.run(script[0], &arguments);
    let theirs = floats(&out);
    assert_eq!(theirs.len(), squares.len() * ANCHORS * 17);
    for (square, theirs) in squares.iter().zip(theirs.chunks_exact(ANCHORS * 17)) {
        let ours = raw(weights, &open(square));
        // Where numbers reach thousands on their way, so do their rounding errors.
        let largest = ours.iter().fold(0.0f32, |largest, number| largest.max(number.abs()));
        let gap = relative_gap(&ours, theirs) / (largest / 1000.0).max(1.0);
        assert!(gap < unit, "{what}, {}: off by {gap}", square.display());
    }
}

/// Weights of a variant that are nobody's, but keep numbers within bounds.
pub(super) fn made_up(layout: &Layout) -> Weights {
    let array = |(name, shape): (String, Vec<usize>)| {
        let inputs: usize = shape[1..].iter().product();
        let limit = (2.0 / inputs as f32).sqrt();
        let wave = |index: usize| (index as f32 * 0.73 + name.len() as f32).sin() * limit;
        let values = (0..shape.iter().product()).map(wave).collect();
        (name, Array { shape, values })
    };
    Weights::new(shapes(layout).into_iter().map(array).collect()).unwrap()
}

/// Twenty: those that were photographed, and drawn ones.
pub(super) fn twenty(folder: &Path) -> Vec<PathBuf> {
    let mut files = pictures();
    let (archive, drawn) = (folder.join("drawn.zip"), SampleSpec { images: 12, seed: 7 });
    sample::write(&archive, &drawn, &mut |_| ()).unwrap();
    let mut zip = zip::ZipArchive::new(fs::File::open(archive).unwrap()).unwrap();
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).unwrap();
        let name = Path::new(entry.name()).file_name().unwrap_or_default().to_owned();
        if Path::new(&name)
            .extension()
            .is_some_and(|extension| extension == "jpg" || extension == "png")
        {
            let file = folder.join(name);
            std::io::copy(&mut entry, &mut fs::File::create(&file).unwrap()).unwrap();
            files.push(file);
        }
    }
    assert_eq!(files.len(), 20);
    files
}

/// In units of `unit`, and more where numbers are large, as they become where
/// a picture has wide black bars.
pub(super) fn largest_gap(a: &[f32], b: &[f32], unit: f32) -> f32 {
    assert_eq!(a.len(), b.len());
    let gap = |(a, b): (&f32, &f32)| (a - b).abs() / (unit + 1e-5 * a.abs());
    a.iter().zip(b).map(gap).fold(0.0, f32::max)
}

/// Largest distance of what is [`raw`], as a share of the largest number of its anchor where that is more than
/// one. Wide black bars make numbers of many thousands, of which 32 bits hold no more digits than of others.
pub(super) fn relative_gap(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let gap = |(a, b): (&[f32], &[f32])| {
        let unit = a.iter().fold(1.0f32, |unit, a| unit.max(a.abs()));
        a.iter().zip(b).map(|(a, b)| (a - b).abs() / unit).fold(0.0, f32::max)
    };
    a.chunks_exact(17).zip(b.chunks_exact(17)).map(gap).fold(0.0, f32::max)
}

pub(super) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

pub(super) fn pictures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/golden/pictures");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|extension| extension != "md")).collect();
    files.sort();
    files
}

/// The picture as the network sees it, without loss.
pub(super) fn square(file: &Path, side: u32, folder: &Path) -> PathBuf {
    let bytes = resample::letterbox(&open(file), side);
    let name = file.file_stem().unwrap().to_str().unwrap();
    let square = folder.join(format!("{name}-{side}.png"));
    RgbImage::from_raw(side, side, bytes).unwrap().save(&square).unwrap();
    square
}

pub(super) fn open(file: &Path) -> RgbImage {
    image::open(file).unwrap().into_rgb8()
}

pub(super) fn floats(file: &Path) -> Vec<f32> {
    let bytes = fs::read(file).unwrap();
    bytes.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect()
}

pub(super) fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The interpreter that `make setup-test` equips.
pub(super) struct Python(PathBuf);

impl Python {
    /// `None` where set-up was not run; on CI that is an error.
    pub(super) fn find() -> Option<Self> {
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".deps/venv/bin/python");
        if python.exists() {
            return Some(Self(python));
        }
        assert!(std::env::var_os("CI").is_none(), "{} is missing", python.display());
        skip("no .deps/venv; run `make setup-test` once");
        None
    }

    pub(super) fn run(&self, script: &str, arguments: &[&str]) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity");
        let mut command = Command::new(&self.0);
        command.arg("-B").arg(folder.join(script)).args(arguments); // -B: leaves no bytecode
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {errors}");
    }
}
