//! What the tests share: weights, pictures, and the Python interpreter.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use blazetune::data::resample;
use blazetune::eval::detect::Detector;
use blazetune::eval::suppression::Detection;
use blazetune::model::layout::{ANCHORS, Conv, Layout, SHORT};
use blazetune::model::tensors::{Array, Weights, shapes};
use blazetune::model::torch::{Mode, Network, to_input};
use blazetune::sample::{self, SampleSpec};
use blazetune::weights::tflite;
use image::RgbImage;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use tch::{Device, Kind, Tensor};

use crate::common;

/// `MediaPipe`'s weights, changed so that every output differs but faces are still found, and to values that 16 bits
/// cannot hold.
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

/// Asserts that `MediaPipe` and `ours` find the same faces, except those whose score is so near the threshold that
/// rounding decides. Returns how many `MediaPipe` found.
pub(super) fn compare_faces(
    python: &Python,
    model: &Path,
    ours: &Detector,
    files: &[PathBuf],
) -> usize {
    tch::set_num_threads(1); // With tests in parallel, more would mostly wait.
    let folder = tempfile::tempdir().unwrap();
    let answers = folder.path().join("faces.json");
    // JPEG decoders round differently, which decides for one picture in hundreds whether two faces merge.
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

/// For each anchor the logit, then the coordinates, in the order of `make_golden.py`.
pub(super) fn raw(weights: &Weights, picture: &RgbImage) -> Vec<f32> {
    outputs(weights, picture, Kind::Float).into_iter().map(|value| value as f32).collect()
}

/// The same, computed in this kind of number.
fn outputs(weights: &Weights, picture: &RgbImage, kind: Kind) -> Vec<f64> {
    let side = weights.layout().input_size as i64;
    let pixels = Tensor::from_slice(picture.as_raw()).reshape([1, side, side, 3]);
    let network = Network::folded(weights, Device::Cpu);
    let cast = |numbers: &Tensor| numbers.to_kind(kind);
    let network = network.with_numbers(&cast(&network.parameters), &cast(&network.buffers));
    let outputs = tch::no_grad(|| network.forward(&cast(&to_input(&pixels)), Mode::Evaluate));
    let anchors = Tensor::cat(&[outputs.logits.unsqueeze(-1), outputs.coordinates], -1);
    Vec::try_from(anchors.to_kind(Kind::Double).flatten(0, -1)).unwrap() // [896 × 17]
}

/// Allowed ratio of another program's rounding error to ours, because it sums in another order.
const MARGIN: f64 = 16.0;
/// Rounding error that every program is allowed, as a share of an anchor's largest number.
const LEAST_ROUNDING: f64 = 1e-6;

/// A network's exact outputs for one picture, and how far rounding can move them.
///
/// The latter depends on the weights, the picture and the processor, so it is measured: our network in 32 bits against
/// our network in 64 bits, on the machine that runs the test.
pub(super) struct Expected {
    exact: Vec<f64>,
    /// The rounding error of logits and of coordinates.
    rounding: [f64; 2],
}

impl Expected {
    pub(super) fn new(weights: &Weights, picture: &RgbImage) -> Self {
        let exact = outputs(weights, picture, Kind::Double);
        let gaps = gaps(&exact, &raw(weights, picture));
        Self { exact, rounding: gaps.map(|gap| gap.max(LEAST_ROUNDING)) }
    }

    /// How far another program's outputs are from the exact ones, as a multiple of what rounding explains.
    pub(super) fn excess(&self, theirs: &[f32]) -> f64 {
        let gaps = gaps(&self.exact, theirs);
        let multiples = gaps.iter().zip(self.rounding).map(|(gap, rounding)| gap / rounding);
        multiples.fold(0.0, f64::max) / MARGIN
    }
}

/// Largest error of a logit and of a coordinate: as a share of the anchor's largest number of that kind if that is more
/// than one, otherwise absolute.
fn gaps(exact: &[f64], found: &[f32]) -> [f64; 2] {
    assert_eq!(exact.len(), found.len());
    assert!(found.iter().all(|value| value.is_finite()), "an output is infinite or not a number");
    let mut gaps = [0.0f64; 2];
    for (exact, found) in exact.chunks_exact(17).zip(found.chunks_exact(17)) {
        for (gap, range) in gaps.iter_mut().zip([0..1, 1..17]) {
            let (exact, found) = (&exact[range.clone()], &found[range]);
            let unit = exact.iter().fold(1.0f64, |unit, value| unit.max(value.abs()));
            let apart = exact.iter().zip(found).map(|(a, b)| (a - f64::from(*b)).abs() / unit);
            *gap = apart.fold(*gap, f64::max);
        }
    }
    gaps
}

/// Asserts that a script in `tests/parity` computes the outputs of our network with `weights`, up to rounding.
pub(super) fn compare(python: &Python, script: &[&str], weights: &Weights, what: &str) {
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
        let excess = Expected::new(weights, &open(square)).excess(theirs);
        assert!(excess < 1.0, "{what}, {}: {excess} × what rounding explains", square.display());
    }
}

/// Random weights for a variant, small enough to keep its outputs within bounds.
pub(super) fn made_up(layout: &Layout) -> Weights {
    let mut rng = Pcg64Mcg::seed_from_u64(7);
    let mut array = |(name, shape): (String, Vec<usize>)| {
        let inputs: usize = shape[1..].iter().product();
        let limit = if shape.len() == 1 { 0.1 } else { (1.0 / inputs as f32).sqrt() };
        let count = shape.iter().product();
        let values = (0..count).map(|_| rng.random_range(-limit..limit)).collect();
        (name, Array { shape, values })
    };
    Weights::new(shapes(layout).into_iter().map(&mut array).collect()).unwrap()
}

/// Twenty pictures: the photographs and twelve drawn ones.
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

/// Saves the picture without loss, letterboxed to the network's input.
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

/// The Python interpreter with the packages that `make setup-test` installs.
pub(super) struct Python(PathBuf);

impl Python {
    pub(super) fn find() -> Option<Self> {
        common::python().map(Self)
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
