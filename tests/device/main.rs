//! Training in libtorch as on a GPU, and on the GPU itself if the machine has one.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod waits;

use std::ops::ControlFlow;
use std::path::Path;

use blazetune::data::import::import;
use blazetune::data::options::ImportOptions;
use blazetune::model::device::Device;
use blazetune::model::layout::SHORT;
use blazetune::model::numbers::Numbers;
use blazetune::model::slots;
use blazetune::protocol::metrics::TrainMetrics;
use blazetune::protocol::train_spec::{DeviceChoice, TrainSpec, Unfold};
use blazetune::sample::{self, SampleSpec};
use blazetune::train::engine::Engine;
use blazetune::train::trainer::Trainer;
use blazetune::train::views::pictures::Pictures;
use blazetune::train::{device, native, torch};
use blazetune::weights::tflite;

/// An imported set of drawn pictures.
fn pictures(folder: &Path) -> Pictures {
    let (zip, dataset) = (folder.join("sample.zip"), folder.join("dataset"));
    sample::write(&zip, &SampleSpec { images: 64, seed: 4 }, &mut |_| ()).unwrap();
    import(&zip, &dataset, &ImportOptions::default(), &|_| ControlFlow::Continue(())).unwrap();
    Pictures::open(&dataset).unwrap()
}

/// Trains one epoch. Returns its figures and the weights it ends with.
fn epoch(
    engine: Box<dyn Engine>,
    spec: &TrainSpec,
    pictures: &Pictures,
) -> (TrainMetrics, Vec<f32>) {
    let mut trainer = Trainer::with(engine, spec, pictures, &SHORT, Device::Cpu);
    let mut pass = trainer.begin(1);
    while pass.step(&mut trainer) {}
    let state = trainer.state();
    let (form, layout) = (slots::Form::Unfolded, &SHORT);
    let form = if spec.unfold == Unfold::Folded { slots::Form::Folded } else { form };
    let (parameters, buffers) = (state.parameters, state.buffers);
    let numbers = Numbers { form, layout, parameters, buffers };
    (trainer.report(1).unwrap().train, numbers.fold())
}

/// libtorch's engine, on a GPU if the machine has one.
fn in_libtorch(spec: &TrainSpec, pictures: &Pictures) -> torch::TorchEngine {
    device::find_gpus();
    let device = device::choose(DeviceChoice::Auto).unwrap();
    let weights = tflite::mediapipe();
    torch::TorchEngine::new(spec, pictures, weights, weights, device)
}

/// One epoch in native training and one in libtorch.
fn both(spec: &TrainSpec, pictures: &Pictures) -> [(TrainMetrics, Vec<f32>); 2] {
    let weights = tflite::mediapipe();
    let native = Box::new(native::NativeEngine::new(spec, pictures, weights, weights));
    let ours = epoch(native, spec, pictures);
    [ours, epoch(Box::new(in_libtorch(spec, pictures)), spec, pictures)]
}

/// Distance between two vectors, relative to the length of the first.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let length = |values: &mut dyn Iterator<Item = f64>| {
        values.map(|value| value * value).sum::<f64>().sqrt()
    };
    let apart = length(&mut a.iter().zip(b).map(|(a, b)| f64::from(a - b)));
    apart / length(&mut a.iter().map(|&value| f64::from(value)))
}

type MakeEngine = fn(&TrainSpec, &Pictures) -> Box<dyn Engine>;

#[test]
fn a_step_of_two_batches_learns_the_same_as_one_batch() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = pictures(folder.path());
    let one = TrainSpec { batch_size: 8, ..TrainSpec::default() };
    let two = TrainSpec { batch_size: 4, accumulate_batches: 2, ..one.clone() };
    let weights = tflite::mediapipe();
    let engines: [MakeEngine; 2] = [
        |spec, pictures| {
            let weights = tflite::mediapipe();
            Box::new(native::NativeEngine::new(spec, pictures, weights, weights))
        },
        |spec, pictures| Box::new(in_libtorch(spec, pictures)),
    ];
    for engine in engines {
        let step = |spec: &TrainSpec| {
            let engine = engine(spec, &pictures);
            let mut trainer = Trainer::with(engine, spec, &pictures, weights.layout(), Device::Cpu);
            let mut pass = trainer.begin(1);
            assert!(pass.step(&mut trainer));
            (trainer.report(1).unwrap().train, trainer.state().mean)
        };
        let ((one, gradient), (two, other)) = (step(&one), step(&two));
        for (a, b) in one.to_array().into_iter().zip(two.to_array()) {
            assert!((a - b).abs() < 1e-4 * a.abs(), "{one:?} {two:?}");
        }
        let gap = distance(&gradient, &other);
        assert!(gap < 1e-4, "the gradient is off by {gap}");
    }
}

#[test]
fn layers_that_are_still_frozen_keep_their_running_statistics() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = pictures(folder.path());
    let numbers = |unfold| {
        let mut spec = TrainSpec { unfold, batch_size: 32, ..TrainSpec::default() };
        (spec.unfreeze.heads_epochs, spec.unfreeze.second_backbone_epochs) = (1, 1);
        let engine = Box::new(in_libtorch(&spec, &pictures));
        let mut trainer = Trainer::with(engine, &spec, &pictures, &SHORT, Device::Cpu);
        [0, 1, 2, 3].map(|epoch| {
            let mut pass = (epoch > 0).then(|| trainer.begin(epoch));
            while pass.as_mut().is_some_and(|pass| pass.step(&mut trainer)) {}
            trainer.end_epoch();
            trainer.state().buffers
        })
    };
    let slots = slots::slots(&SHORT, slots::Form::Unfolded);
    let first = slots[2 * SHORT.first_blocks].statistics.as_ref().unwrap().1.end;
    for unfold in [Unfold::Calibrated, Unfold::Identity] {
        let [before, heads, second, all] = numbers(unfold);
        assert_eq!(before, heads, "{unfold:?}: only the heads trained");
        assert_eq!(before[..first], second[..first], "{unfold:?}: the first backbone was frozen");
        assert_ne!(before[first..], second[first..], "{unfold:?}");
        assert_ne!(second[..first], all[..first], "{unfold:?}");
    }
}

#[test]
fn an_epoch_in_libtorch_matches_one_in_the_native_kernels() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = pictures(folder.path());
    for unfold in [Unfold::Frozen, Unfold::Folded] {
        // So slow that rounding never decides which anchor is assigned to a face.
        let mut spec = TrainSpec { unfold, learning_rate: 1e-6, ..TrainSpec::default() };
        // The teacher's loss has its kink exactly where training begins, so rounding would decide the side of it.
        spec.loss.teacher_weight = 0.0;
        let [(ours, _), (theirs, _)] = both(&spec, &pictures);
        for (name, figure, limit) in [
            ("loss", (|of| of.loss) as fn(&TrainMetrics) -> f64, 1e-4),
            ("box loss", |of| of.box_loss, 1e-4),
            ("positive", |of| of.positive, 1e-4),
            ("background", |of| of.background, 1e-4),
            ("positives a face", |of| of.positives_per_face, 1e-2),
            ("gradient", |of| of.gradient_norm, 1e-3),
        ] {
            let gap = (figure(&ours) / figure(&theirs) - 1.0).abs();
            assert!(gap < limit, "{unfold:?}: {name} {gap}, {ours:?} {theirs:?}");
        }
    }
    let [(_, ours), (_, theirs)] = both(&TrainSpec::default(), &pictures);
    let gap = distance(&ours, &theirs);
    assert!(gap < 1e-3, "with the default parameters: {gap}");
}
