//! Training in libtorch, as on a GPU; on a GPU where there is one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod waits;

use std::ops::ControlFlow;
use std::path::Path;

use blazetune::data::import::import;
use blazetune::data::options::ImportOptions;
use blazetune::model::layout::INPUT_SIZE;
use blazetune::model::network::array;
use blazetune::model::unfold;
use blazetune::protocol::metrics::TrainMetrics;
use blazetune::protocol::train_spec::{DeviceChoice, TrainSpec, Unfold};
use blazetune::sample::{self, SampleSpec};
use blazetune::train::trainer::Trainer;
use blazetune::train::views::batch::Place;
use blazetune::train::views::pictures::Pictures;
use blazetune::train::{cuda, device};
use blazetune::weights::tflite;
use tch::Device;

/// Drawn pictures, imported.
fn pictures(folder: &Path) -> Pictures {
    let (zip, dataset) = (folder.join("sample.zip"), folder.join("dataset"));
    sample::write(&zip, &SampleSpec { images: 64, seed: 4 }, &mut |_| ()).unwrap();
    import(&zip, &dataset, &ImportOptions::default(), &|_| ControlFlow::Continue(())).unwrap();
    Pictures::open(&dataset).unwrap()
}

/// What an epoch measured, and the weights it ends with.
fn epoch(spec: &TrainSpec, pictures: &Pictures, place: Place) -> (TrainMetrics, Vec<f32>) {
    let weights = tflite::mediapipe();
    let mut trainer = Trainer::new(spec, pictures, weights, weights, place);
    let told = trainer.epoch(1, u32::MAX, &mut |_| ControlFlow::Continue(())).unwrap();
    let ControlFlow::Continue(progress) = told else { panic!("it was left") };
    (progress.train, array(&unfold::fold(&trainer.network).parameters).values)
}

/// Where the device's own training runs, and the pictures lie.
fn in_libtorch(spec: &TrainSpec, pictures: &mut Pictures) -> Place {
    cuda::load();
    let device = device::choose(DeviceChoice::Auto).unwrap();
    pictures.keep_on(device, INPUT_SIZE);
    let mut place = Place::new(spec, device, tflite::mediapipe().layout());
    place.is_engines = false;
    place
}

/// Both kinds of training, in turn.
fn both(spec: &TrainSpec, pictures: &mut Pictures) -> [(TrainMetrics, Vec<f32>); 2] {
    let engines = Place::new(spec, Device::Cpu, tflite::mediapipe().layout());
    let ours = epoch(spec, pictures, engines);
    let place = in_libtorch(spec, pictures);
    [ours, epoch(spec, pictures, place)]
}

/// How far apart two vectors are, over the length of the first.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let length = |values: &mut dyn Iterator<Item = f64>| {
        values.map(|value| value * value).sum::<f64>().sqrt()
    };
    let apart = length(&mut a.iter().zip(b).map(|(a, b)| f64::from(a - b)));
    apart / length(&mut a.iter().map(|&value| f64::from(value)))
}

#[test]
fn an_epoch_in_libtorch_is_one_in_our_own_kernels() {
    let folder = tempfile::tempdir().unwrap();
    let mut pictures = pictures(folder.path());
    for unfold in [Unfold::Frozen, Unfold::Folded] {
        // So slow that no rounding decides which anchor is to find a face.
        let mut spec = TrainSpec { unfold, learning_rate: 1e-6, ..TrainSpec::default() };
        // The teacher's cost has its kink just where training begins, and rounding decides to which side that falls.
        spec.loss.teacher_weight = 0.0;
        let [(ours, _), (theirs, _)] = both(&spec, &mut pictures);
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
    let [(_, ours), (_, theirs)] = both(&TrainSpec::default(), &mut pictures);
    let gap = distance(&ours, &theirs);
    assert!(gap < 1e-3, "as jobs are: {gap}");
}
