//! The network against MediaPipe's own runtime, and BatchNorm unfolded and folded. The golden numbers come from
//! `tests/parity/make_golden.py`.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::path::{Path, PathBuf};

use blazetune::eval::detect::Detector;
use blazetune::geometry::Rect;
use blazetune::model::layout::ANCHORS;
use blazetune::model::numbers::Numbers;
use blazetune::model::tensors::Weights;
use blazetune::model::torch::{Mode, Network, OutputTensors, array, fold, to_input};
use blazetune::weights::tflite;
use serde::Deserialize;
use tch::{Device, Tensor};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/golden")
}

fn base() -> Network {
    Network::folded(tflite::mediapipe(), Device::Cpu)
}

/// The picture that `pattern` in `make_golden.py` makes.
fn pattern() -> Tensor {
    let mut bytes = Vec::new();
    for y in 0..128i64 {
        for x in 0..128i64 {
            let red = (x * 3 + y * 5) % 256;
            let green = (x * x / 7 + y * 2) % 256;
            let blue = ((x - 64).pow(2) / 16 + (y - 64).pow(2) / 16) % 256;
            bytes.extend([red as u8, green as u8, blue as u8]);
        }
    }
    Tensor::from_slice(&bytes).reshape([1, 128, 128, 3])
}

#[test]
fn raw_outputs_match_mediapipes() {
    let bytes = std::fs::read(golden().join("raw.f32")).unwrap();
    let expected: Vec<f32> =
        bytes.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect();
    let outputs = tch::no_grad(|| base().forward(&to_input(&pattern()), Mode::Evaluate));
    let logits = array(&outputs.logits).values;
    let coordinates = array(&outputs.coordinates).values;
    assert_eq!(expected.len(), ANCHORS * 17);
    let mut worst = 0.0f32;
    for anchor in 0..ANCHORS {
        worst = worst.max((expected[anchor * 17] - logits[anchor]).abs());
        for number in 0..16 {
            let ours = coordinates[anchor * 16 + number];
            worst = worst.max((expected[anchor * 17 + 1 + number] - ours).abs());
        }
    }
    assert!(worst < 1e-3, "off by {worst}");
}

#[derive(Deserialize)]
struct GoldenPicture {
    picture: String,
    faces: Vec<GoldenFace>,
}

#[derive(Deserialize)]
struct GoldenFace {
    #[serde(rename = "box")]
    rect: Rect,
    score: f32,
    keypoints: Vec<[f32; 2]>,
}

#[test]
fn the_detector_finds_exactly_the_faces_that_mediapipe_finds() {
    let text = std::fs::read(golden().join("faces.json")).unwrap();
    let pictures: Vec<GoldenPicture> = serde_json::from_slice(&text).unwrap();
    assert!(pictures.iter().map(|picture| picture.faces.len()).sum::<usize>() >= 8);
    let detector = Detector::new(tflite::mediapipe()).unwrap();
    for GoldenPicture { picture: name, faces } in pictures {
        let picture = image::open(golden().join("pictures").join(&name)).unwrap().into_rgb8();
        let found = detector.detect(&picture, 0.5);
        assert_eq!(found.len(), faces.len(), "{name}: {found:?}");
        for face in faces {
            let same = found
                .iter()
                .max_by(|a, b| a.rect.iou(&face.rect).total_cmp(&b.rect.iou(&face.rect)));
            let same = same.unwrap();
            let overlap = same.rect.iou(&face.rect);
            assert!(overlap > 0.9, "{name}: {overlap}");
            assert!(
                (same.score - face.score).abs() < 0.03,
                "{name}: {} {}",
                same.score,
                face.score
            );
            for (ours, theirs) in same.keypoints.iter().zip(&face.keypoints) {
                let distance = (ours[0] - theirs[0]).hypot(ours[1] - theirs[1]);
                assert!(distance < 0.02, "{name}: a keypoint is off by {distance}");
            }
        }
    }
}

/// `[N, 3, 128, 128]`: the golden pictures and their mirror images.
fn calibration_pictures() -> Tensor {
    let mut inputs = Vec::new();
    for entry in std::fs::read_dir(golden().join("pictures")).unwrap() {
        let Ok(picture) = image::open(entry.unwrap().path()) else { continue };
        for picture in [picture.to_rgb8(), picture.fliph().to_rgb8()] {
            let bytes = blazetune::data::resample::letterbox(&picture, 128);
            inputs.push(to_input(&Tensor::from_slice(&bytes).reshape([1, 128, 128, 3])));
        }
    }
    assert!(inputs.len() >= 16);
    Tensor::cat(&inputs, 0)
}

/// The base model with BatchNorm, calibrated on these pictures.
fn calibrated(folded: &Network, pictures: &[Tensor]) -> Network {
    let statistics = fold::measure(folded, pictures);
    Network::new(&Numbers::calibrated(tflite::mediapipe(), &statistics), Device::Cpu)
}

fn identity() -> Network {
    Network::new(&Numbers::identity(tflite::mediapipe()), Device::Cpu)
}

fn forward(network: &Network, pictures: &Tensor, mode: Mode) -> OutputTensors {
    tch::no_grad(|| network.forward(pictures, mode))
}

/// Relative for values above 1, because logits reach thousands in plain background; otherwise absolute.
fn largest_gap(a: &Tensor, b: &Tensor) -> f64 {
    ((a - b).abs() / a.abs().clamp_min(1.0)).max().double_value(&[])
}

#[test]
fn unfolding_changes_nothing_in_evaluation_mode() {
    let (folded, pictures) = (base(), calibration_pictures());
    let before = forward(&folded, &pictures, Mode::Evaluate);
    let networks = [
        ("calibrated", calibrated(&folded, &[pictures.shallow_clone()])),
        ("identity", identity()),
    ];
    for (name, network) in networks {
        let after = forward(&network, &pictures, Mode::Evaluate);
        let logits = largest_gap(&before.logits, &after.logits);
        // In fractions of the input's side, as boxes are used.
        let coordinates =
            largest_gap(&(&before.coordinates / 128.0), &(&after.coordinates / 128.0));
        assert!(logits < 1e-4 && coordinates < 1e-4, "{name}: {logits} {coordinates}");
    }
}

#[test]
fn in_training_mode_calibrated_batch_norm_keeps_the_detections_and_identity_does_not() {
    let (folded, pictures) = (base(), calibration_pictures());
    let before = forward(&folded, &pictures, Mode::Evaluate);
    let faces = |outputs: &OutputTensors| {
        blazetune::eval::detect::faces(
            &outputs.into(),
            128,
            &blazetune::model::anchors::centres(),
            0.5,
        )
    };
    let expected = faces(&before);
    let kept = |network: &Network| {
        let found = faces(&forward(network, &pictures, Mode::Train { from: 0 }));
        expected.iter().zip(&found).all(|(expected, found)| {
            expected.len() == found.len()
                && expected
                    .iter()
                    .zip(found)
                    .all(|(a, b)| a.rect.iou(&b.rect) > 0.95 && (a.score - b.score).abs() < 0.02)
        })
    };
    assert!(expected.iter().any(|faces| !faces.is_empty()));
    assert!(kept(&calibrated(&folded, &[pictures.shallow_clone()])));
    assert!(!kept(&identity()));
}

#[test]
fn folding_back_gives_the_original_weights() {
    let (folded, pictures) = (base(), calibration_pictures());
    let halves = pictures.split(8, 0); // Several batches give one set of statistics.
    let numbers = calibrated(&folded, &halves).numbers();
    let by_libtorch = array(&fold::fold(&Network::new(&numbers, Device::Cpu)).parameters).values;
    for (ours, theirs) in numbers.fold().iter().zip(by_libtorch) {
        // A bias is a difference, so its rounding error is that of its terms.
        let slack = 1e-6 * theirs.abs().max(1e-6);
        assert!((ours - theirs).abs() <= slack, "{ours} natively, {theirs} in libtorch");
    }
    let back = Weights::from_flat(numbers.layout, &numbers.fold()).unwrap();
    for (name, array) in tflite::mediapipe().arrays() {
        let largest = array.values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let largest = largest.max(0.1); // Some biases are all zero.
        for (before, after) in array.values.iter().zip(&back.arrays()[name].values) {
            let gap = (before - after).abs() / largest;
            assert!(gap < 1e-5, "{name}: {before} became {after}");
        }
    }
}
