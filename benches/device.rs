//! Measures how fast libtorch trains on a device: the time of a step on the host, its time on the device, and the rate
//! of a whole epoch.
//!
//! ```text
//! cargo bench --bench device -- [--batches 64,128,256] [--pictures 8192] [--dataset FOLDER] [--device auto]
//! ```
//!
//! FOLDER is an imported data set; without it, pictures are drawn. Prints a table.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program for a terminal")]

mod common;

use std::path::PathBuf;
use std::time::Instant;

use blazetune::model::device::Device;
use blazetune::model::layout::INPUT_SIZE;
use blazetune::protocol::train_spec::TrainSpec;
use blazetune::train::engine::Engine;
use blazetune::train::torch::squares::Squares;
use blazetune::train::trainer::Trainer;
use blazetune::train::views::batch::Cutter;
use blazetune::train::views::pictures::Pictures;
use blazetune::train::views::torch::render_batch;
use blazetune::train::{device, torch};
use blazetune::weights::tflite;
use tch::Cuda;

use crate::common::drawn;

/// Steps timed together.
const STEPS: u32 = 40;
/// Epochs; the fastest counts.
const EPOCHS: u32 = 3;

struct Args {
    batches: Vec<u32>,
    pictures: u32,
    dataset: Option<PathBuf>,
    device: String,
}

fn arguments() -> Args {
    let mut args = Args {
        batches: vec![8, 64, 128, 256],
        pictures: 8192,
        dataset: None,
        device: "auto".to_owned(),
    };
    let mut given = std::env::args().skip(1).filter(|arg| arg != "--bench");
    while let Some(name) = given.next() {
        let value = given.next().unwrap_or_else(|| panic!("{name} needs a value"));
        match name.as_str() {
            "--batches" => args.batches = value.split(',').map(|n| n.parse().unwrap()).collect(),
            "--pictures" => args.pictures = value.parse().unwrap(),
            "--dataset" => args.dataset = Some(value.into()),
            "--device" => args.device = value,
            _ => panic!("unknown argument {name}"),
        }
    }
    args
}

fn main() {
    let args = arguments();
    device::find_gpus();
    let choice = serde_json::from_value(args.device.clone().into()).unwrap();
    let device = device::choose(choice).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let dataset = args.dataset.clone().unwrap_or_else(|| drawn(folder.path(), args.pictures));
    let pictures = Pictures::open(&dataset).unwrap();
    println!("{device}, {} pictures to train on", pictures.train.len());
    println!("batch  host ms  step ms  step/s  views ms  views/s  epoch/s");
    for &batch in &args.batches {
        measure(batch, &pictures, device);
    }
}

/// Prints a line of the table: milliseconds and views a second of a step and of views alone, and the rate of an epoch.
fn measure(batch: u32, pictures: &Pictures, device: Device) {
    let spec = TrainSpec { batch_size: batch, epochs: 1000, ..TrainSpec::default() };
    let weights = tflite::mediapipe();
    let engine = torch::TorchEngine::new(&spec, pictures, weights, weights, device);
    let rendering = engine.rendering();
    let mut trainer = Trainer::with(Box::new(engine), &spec, pictures, weights.layout(), device);
    let indices = &pictures.train[..(batch as usize).min(pictures.train.len())];
    let cutter = Cutter::new(&spec, pictures, 1, INPUT_SIZE, rendering);
    let squares = Squares::new(&pictures.cache, pictures.entries.len(), INPUT_SIZE, device.into());
    let cut = || render_batch(&cutter.cut(indices), &squares);
    let ready = cutter.cut(indices);
    let wait = || {
        if let Device::Cuda(number) = device {
            Cuda::synchronize(number as i64);
        }
    };
    // Seconds per call that the host is busy, and seconds per call until the device is done.
    let time = |work: &mut dyn FnMut()| {
        (0..STEPS / 4).for_each(|_| work());
        wait();
        let began = Instant::now();
        (0..STEPS).for_each(|_| work());
        let host = began.elapsed().as_secs_f64() / f64::from(STEPS);
        wait();
        (host, began.elapsed().as_secs_f64() / f64::from(STEPS))
    };
    let (host, step) = time(&mut || trainer.step_on(&ready, 0.0));
    let (_, views) = time(&mut || drop(cut()));
    let rates = (1..=EPOCHS).map(|epoch| {
        trainer.end_epoch();
        let mut pass = trainer.begin(epoch);
        while pass.step(&mut trainer) {}
        trainer.report(epoch).unwrap().images_per_s
    });
    let best = rates.fold(0.0, f64::max);
    let n = indices.len() as f64;
    println!(
        "{batch:5} {:8.2} {:8.2} {:7.0} {:9.2} {:8.0} {best:8.0}",
        host * 1e3,
        step * 1e3,
        n / step,
        views * 1e3,
        n / views
    );
}
