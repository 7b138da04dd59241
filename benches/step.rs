//! Measures how fast training is on a CPU: each part of a step, the step and the whole epoch, next to a plain PyTorch
//! loop and the limits of the machine.
//!
//! ```text
//! cargo bench --bench step -- [--batch 32] [--threads N] [--rounds 3] [--dataset FOLDER]
//! ```
//!
//! FOLDER is an imported data set; without it, pictures are drawn. Blazetune and PyTorch take turns, and medians are
//! reported, because machines are noisy. Writes `target/bench/step.json`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program for a terminal")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use blazetune::model;
use blazetune::model::layout::{self, INPUT_SIZE, Role};
use blazetune::model::outputs::OutputsRef;
use blazetune::protocol::train_spec::TrainSpec;
use blazetune::train::loss::native::NativeGrid;
use blazetune::train::trainer::Trainer;
use blazetune::train::views::batch::{Cutter, Pixels, Rendering};
use blazetune::train::views::pictures::Pictures;
use blazetune::train::{loss, native};
use blazetune::weights::tflite;
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use crate::common::drawn;

struct Args {
    batch: u32,
    threads: usize,
    rounds: usize,
    dataset: Option<PathBuf>,
}

fn main() {
    let args = arguments();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(args.threads).build().unwrap();
    pool.install(|| run(&args));
}

fn arguments() -> Args {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut args = Args { batch: 32, threads, rounds: 3, dataset: None };
    let mut given = std::env::args().skip(1).filter(|arg| arg != "--bench");
    while let Some(name) = given.next() {
        let value = given.next().unwrap_or_else(|| panic!("{name} needs a value"));
        match name.as_str() {
            "--batch" => args.batch = value.parse().unwrap(),
            "--threads" => args.threads = value.parse().unwrap(),
            "--rounds" => args.rounds = value.parse().unwrap(),
            "--dataset" => args.dataset = Some(value.into()),
            _ => panic!("unknown argument {name}"),
        }
    }
    args
}

fn run(args: &Args) {
    let folder = tempfile::tempdir().unwrap();
    let dataset = args.dataset.clone().unwrap_or_else(|| drawn(folder.path(), 640));
    let pictures = Pictures::open(&dataset).unwrap();
    let spec = TrainSpec { batch_size: args.batch, epochs: 1000, ..TrainSpec::default() };
    let weights = tflite::mediapipe();
    let mut trainer =
        Trainer::new(&spec, &pictures, weights, weights, model::device::Device::Cpu).unwrap();

    let mut rows: Vec<(String, Vec<f64>)> = Vec::new();
    let mut add = |name: &str, rate: f64| match rows.iter_mut().find(|(known, _)| known == name) {
        Some((_, rates)) => rates.push(rate),
        None => rows.push((name.to_owned(), vec![rate])),
    };
    for round in 0..args.rounds {
        for (name, rate) in parts(&spec, &pictures, &mut trainer) {
            add(name, rate);
        }
        let epoch = round as u32 + 1;
        trainer.end_epoch();
        let mut pass = trainer.begin(epoch);
        while pass.step(&mut trainer) {}
        add("whole epoch", trainer.report(epoch).unwrap().images_per_s);
        for (name, option) in [
            ("PyTorch, NCHW", None),
            ("PyTorch, channels last", Some("--channels-last")),
            ("PyTorch, frozen BatchNorm", Some("--frozen")),
        ] {
            if let Some(rate) = plain_torch(args, option) {
                add(name, rate);
            }
        }
    }
    tch::set_num_threads(args.threads as i32);
    let ceiling = ceiling();
    report(args, &rows, &ceiling);
}

/// Rate of each part of a step, in views a second, on a batch that is already cut.
fn parts(
    spec: &TrainSpec,
    pictures: &Pictures,
    trainer: &mut Trainer<'_>,
) -> Vec<(&'static str, f64)> {
    let batch = (spec.batch_size as usize).min(pictures.train.len());
    let indices = &pictures.train[..batch];
    let cutter = Cutter::new(spec, pictures, 1, INPUT_SIZE, Rendering::Native);
    let batch_ready = cutter.cut(indices);
    let Pixels::Native(inputs) = &batch_ready.pixels else { unreachable!("on a CPU") };
    let (faces, grid) = (&batch_ready.faces, NativeGrid::default());
    let weights = tflite::mediapipe();
    let mut engine = native::NativeEngine::new(spec, pictures, weights, weights);
    let rate = |work: &mut dyn FnMut()| {
        work();
        let (began, mut times) = (Instant::now(), 0);
        while times < 3 || began.elapsed().as_secs_f64() < 1.0 {
            work();
            times += 1;
        }
        f64::from(times) * batch as f64 / began.elapsed().as_secs_f64()
    };
    let views = rate(&mut || drop(cutter.cut(indices)));
    let forward = rate(&mut || engine.forward(inputs));
    let [outputs, base] = engine.outputs();
    let costs = || loss::native::costs(outputs, Some(base), faces, &spec.loss, &grid, None);
    let targets = rate(&mut || drop(costs()));
    let found = costs();
    let gradient = OutputsRef { logits: &found.logits, coordinates: &found.coordinates };
    let both = rate(&mut || {
        engine.forward(inputs);
        engine.backward(inputs, gradient);
    });
    let step = rate(&mut || trainer.step_on(&batch_ready, 0.0));
    vec![
        ("views", views),
        ("both networks forward", forward),
        ("targets and losses", targets),
        ("forward and backward", both),
        ("step, without views", step),
    ]
}

/// Rate of `benches/plain_torch.py`, in views a second; `None` without a Python that has PyTorch.
fn plain_torch(args: &Args, option: Option<&str>) -> Option<f64> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join(".deps/venv/bin/python");
    let mut command = Command::new(python);
    command.arg(root.join("benches/plain_torch.py")).args(option);
    command.args(["--batch", &args.batch.to_string(), "--threads", &args.threads.to_string()]);
    let output = command.output().ok().filter(|output| output.status.success())?;
    let found: Value = serde_json::from_slice(&output.stdout).ok()?;
    found["images_per_s"].as_f64()
}

/// The limits of the machine: GFLOP/s of a large matrix product, and GB/s of a large copy, counting reads and writes.
fn ceiling() -> (f64, f64) {
    let options = (Kind::Float, Device::Cpu);
    let matrix = Tensor::rand([1536, 1536], options);
    let (from, mut to) = (Tensor::rand([64 << 20], options), Tensor::zeros([64 << 20], options));
    let best = |work: &mut dyn FnMut()| {
        let time = |_| {
            let began = Instant::now();
            work();
            began.elapsed().as_secs_f64()
        };
        (0..5).map(time).fold(f64::INFINITY, f64::min)
    };
    let product = best(&mut || drop(matrix.mm(&matrix)));
    let copy = best(&mut || to.copy_(&from));
    (2.0 * 1536.0f64.powi(3) / product / 1e9, 2.0 * f64::from(4 << 26) / copy / 1e9)
}

/// Multiplications and additions in a forward pass of one view.
fn forward_flops() -> f64 {
    let mut side = INPUT_SIZE;
    let mut flops = 0;
    for conv in layout::SHORT.convs() {
        side /= conv.stride;
        let pixels = match conv.role {
            Role::Head if conv.shape[1] == layout::GRIDS[0].channels => {
                layout::GRIDS[0].side.pow(2)
            }
            _ => side * side,
        };
        flops += 2 * pixels * conv.shape.iter().product::<usize>();
    }
    flops as f64
}

fn report(args: &Args, rows: &[(String, Vec<f64>)], (gflops, bandwidth): &(f64, f64)) {
    let median = |name: &str| {
        let (_, rates) = rows.iter().find(|(known, _)| known == name)?;
        let mut rates = rates.clone();
        rates.sort_by(f64::total_cmp);
        Some(rates[rates.len() / 2])
    };
    println!("batch {}, {} threads; medians of {} rounds", args.batch, args.threads, args.rounds);
    for (name, _) in rows {
        let rate = median(name).unwrap();
        println!("{name:28} {rate:8.0} images/s {:8.2} ms each", 1e3 / rate);
    }
    // Forward and backward of one network, without the pictures' gradient, and forward of the other.
    let flops = 4.0 * forward_flops() - 2.0 * 64.0 * 64.0 * 24.0 * 75.0;
    let (epoch, step) = (median("whole epoch").unwrap(), median("step, without views").unwrap());
    println!("{:28} {gflops:8.0} GFLOP/s, a copy {bandwidth:.0} GB/s", "the machine");
    println!(
        "{:28} {:8.0} GFLOP/s ({:.0} MFLOP a view)",
        "the step",
        step * flops / 1e9,
        flops / 1e6
    );
    let plain = median("PyTorch, NCHW");
    if let Some(plain) = plain {
        println!(
            "{:28} {:8.2} × PyTorch's NCHW step, {:.2} × our own",
            "the epoch",
            epoch / plain,
            epoch / step
        );
    }
    let medians: serde_json::Map<String, Value> =
        rows.iter().map(|(name, _)| (name.clone(), json!(median(name)))).collect();
    let found = json!({
        "batch": args.batch, "threads": args.threads, "rounds": args.rounds, "images_per_s": medians,
        "machine": {"gflops": gflops, "gb_per_s": bandwidth}, "flops_per_view": flops,
        "epoch_over_plain": plain.map(|plain| epoch / plain), "epoch_over_step": epoch / step,
    });
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("step.json"), serde_json::to_vec_pretty(&found).unwrap()).unwrap();
}
