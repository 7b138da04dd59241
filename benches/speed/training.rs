//! Epochs of a worker: how time and memory grow with the data set and the batch size.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use blazetune::protocol::folder::JobDir;
use blazetune::protocol::job_spec::{JobSpec, Work};
use blazetune::protocol::train_spec::TrainSpec;
use serde_json::{Value, json};

use crate::common::drawn;
use crate::table::Table;
use crate::{Effort, pictures};

/// Adds what `benches/step.rs` measured.
pub(crate) fn report_step(step: &Value, table: &mut Table) {
    let rates = &step["images_per_s"];
    let plain = rates["PyTorch, NCHW"].as_f64();
    for (name, rate) in rates.as_object().into_iter().flatten() {
        let Some(rate) = rate.as_f64() else { continue };
        table.compare(name, rate, "images/s", "PyTorch's step, NCHW", plain);
    }
    let (machine, flops) = (&step["machine"], step["flops_per_view"].as_f64());
    let rate = rates["step, without views"].as_f64();
    if let (Some(flops), Some(rate), Some(most)) = (flops, rate, machine["gflops"].as_f64()) {
        let other = Some(most);
        table.compare(
            "arithmetic of a step",
            rate * flops / 1e9,
            "GFLOP/s",
            "a matrix product",
            other,
        );
    }
    if let Some(bandwidth) = machine["gb_per_s"].as_f64() {
        table.add("memory bandwidth, a large copy", bandwidth, "GB/s");
    }
}

pub(crate) fn measure(folder: &Path, effort: &Effort, table: &mut Table) -> Value {
    let set = drawn(folder, effort.sets[0] as u32 / 2);
    let (mut sizes, mut batches) = (Vec::new(), Vec::new());
    for (number, &pictures) in effort.sets.iter().enumerate() {
        eprintln!("training: an epoch of {pictures} pictures …");
        let dataset = pictures::repeated(folder, &set, pictures);
        let run = epoch(folder, &dataset, pictures, 32);
        table.add(format!("an epoch of {pictures} pictures"), run.seconds, "s");
        table.add(format!("an epoch of {pictures} pictures, per 1,000"), run.per_thousand(), "s");
        table.add(format!("memory of its worker, {pictures} pictures"), run.peak_mb, "MB");
        sizes.push(run.to_json());
        if number == 1 {
            for &batch in effort.batches {
                eprintln!("training: an epoch in batches of {batch} …");
                let run = epoch(folder, &dataset, pictures, batch);
                table.add(format!("training in batches of {batch}"), run.images_per_s, "images/s");
                batches.push(run.to_json());
            }
        }
        fs::remove_dir_all(dataset).unwrap();
    }
    json!({"by_pictures": sizes, "by_batch_size": batches})
}

struct Epoch {
    pictures: usize,
    batch: u32,
    images_per_s: f64,
    /// Without evaluation.
    seconds: f64,
    /// The worker's, including evaluation.
    peak_mb: f64,
}

impl Epoch {
    fn per_thousand(&self) -> f64 {
        1000.0 * self.seconds / self.pictures as f64
    }

    fn to_json(&self) -> Value {
        json!({
            "pictures": self.pictures, "batch_size": self.batch, "images_per_s": self.images_per_s,
            "epoch_s": self.seconds, "peak_memory_mb": self.peak_mb,
        })
    }
}

/// Runs an epoch in a separate worker, started as the server would.
fn epoch(folder: &Path, dataset: &Path, pictures: usize, batch_size: u32) -> Epoch {
    let dir = JobDir::new(folder.join(format!("job-{pictures}-{batch_size}")));
    let _ = fs::remove_dir_all(dir.path()); // Left by an earlier run with the same sizes.
    let work = Work::Train(Box::new(JobSpec {
        job_id: "bench".to_owned(),
        name: "bench".to_owned(),
        dataset_dir: dataset.to_owned(),
        init_file: None,
        threads: None,
        checkpoints: Default::default(),
        batch_divisor: 1,
        extends_epochs: None,
        params: TrainSpec { epochs: 1, batch_size, ..TrainSpec::default() },
    }));
    dir.create(&work).unwrap();
    let mut worker = Command::new(env!("CARGO_BIN_EXE_blazetune"))
        .arg("worker")
        .arg(dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut peak_mb = 0.0;
    let status = loop {
        peak_mb = peak(worker.id()).unwrap_or(peak_mb);
        match worker.try_wait().unwrap() {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    let log = fs::read_to_string(dir.log_file()).unwrap_or_default();
    assert!(status.success(), "the worker failed: {log}");
    let events = fs::read_to_string(dir.events_file()).unwrap();
    let mut events = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let last = events.rfind(|event| event["type"] == "epoch").unwrap();
    let images_per_s = last["images_per_s"].as_f64().unwrap();
    let seconds = pictures as f64 / images_per_s;
    Epoch { pictures, batch: batch_size, images_per_s, seconds, peak_mb }
}

/// Peak memory of a process so far in MB, including pages of mapped files.
fn peak(process: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").trim().parse::<f64>().ok()? / 1024.0)
}
