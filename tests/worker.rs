//! The real worker process on real job folders: its reports, its artifacts, and how it survives a kill.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use blazetune::data::import::import;
use blazetune::data::options::ImportOptions;
use blazetune::protocol::cause::Cause;
use blazetune::protocol::control::Command as Wanted;
use blazetune::protocol::events::{Body, Event, Finished, Outcome};
use blazetune::protocol::folder::JobDir;
use blazetune::protocol::job_spec::{CheckpointEvery, JobSpec, Work};
use blazetune::protocol::metrics::MetricsRow;
use blazetune::protocol::train_spec::TrainSpec;
use blazetune::sample::{self, SampleSpec};
use blazetune::weights;
use serde_json::json;

#[cfg(not(feature = "torch"))]
#[path = "worker/builds.rs"]
mod builds;
#[expect(dead_code, reason = "only the interpreter is needed here")]
mod common;
#[path = "worker/diagnostics.rs"]
mod diagnostics;
#[path = "worker/evaluation.rs"]
mod evaluation;
#[path = "worker/extend.rs"]
mod extend;
#[path = "worker/mix.rs"]
mod mix;
#[path = "worker/panics.rs"]
mod panics;
#[path = "worker/resume.rs"]
mod resume;
#[path = "worker/scores.rs"]
mod scores;

/// The drawn sample set, imported once for all tests.
fn dataset() -> PathBuf {
    static DATASET: OnceLock<PathBuf> = OnceLock::new();
    let make = || {
        let folder = tempfile::tempdir().unwrap().keep();
        let zip = folder.join("sample.zip");
        let spec = SampleSpec { images: 40, seed: 1 };
        sample::write(&zip, &spec, &mut |_| ()).unwrap();
        let dataset = folder.join("dataset");
        let go_on = |_| std::ops::ControlFlow::Continue(());
        import(&zip, &dataset, &ImportOptions::default(), &go_on).unwrap();
        dataset
    };
    DATASET.get_or_init(make).clone()
}

fn job(params: &serde_json::Value) -> (tempfile::TempDir, JobDir) {
    let folder = tempfile::tempdir().unwrap();
    let dir = JobDir::new(folder.path().join("job"));
    let params: TrainSpec = serde_json::from_value(params.clone()).unwrap();
    params.check().unwrap();
    let spec = JobSpec {
        job_id: "01970000-0000-7000-8000-000000000000".into(),
        name: "test".into(),
        dataset_dir: dataset(),
        init_file: None,
        threads: Some(1),
        checkpoints: CheckpointEvery::default(),
        batch_divisor: 1,
        extends_epochs: None,
        params,
    };
    dir.create(&Work::Train(Box::new(spec))).unwrap();
    (folder, dir)
}

fn start(dir: &JobDir) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blazetune"));
    command.arg("worker").arg(dir.path()).stdin(Stdio::null()).spawn().unwrap()
}

fn run(dir: &JobDir) -> Finished {
    assert!(start(dir).wait().unwrap().success());
    finished(dir).expect("a worker reports how it ended")
}

fn events(dir: &JobDir) -> Vec<Event> {
    let text = std::fs::read_to_string(dir.events_file()).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn finished(dir: &JobDir) -> Option<Finished> {
    events(dir).into_iter().rev().find_map(|event| match event.body {
        Body::Finished(finished) => Some(finished),
        _ => None,
    })
}

fn rows(dir: &JobDir) -> Vec<MetricsRow> {
    let row = |event: Event| match event.body {
        Body::Epoch(row) => Some(*row),
        _ => None,
    };
    events(dir).into_iter().filter_map(row).collect()
}

/// Waits until a worker has reported something.
fn wait_for(dir: &JobDir, what: impl Fn(&Body) -> bool) {
    let deadline = Instant::now() + Duration::from_mins(2);
    while !events(dir).iter().any(|event| what(&event.body)) {
        assert!(Instant::now() < deadline, "no such event in {:?}", events(dir));
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn artifact(dir: &JobDir, name: &str) -> Vec<u8> {
    std::fs::read(dir.artifacts().join(name)).unwrap()
}

/// Metrics without the fields that depend on the clock.
fn numbers(rows: &[MetricsRow]) -> Vec<serde_json::Value> {
    let strip = |row: &MetricsRow| {
        let mut value = json!(row);
        for field in ["time", "images_per_s", "seconds"] {
            value.as_object_mut().unwrap().remove(field);
        }
        value
    };
    rows.iter().map(strip).collect()
}

#[test]
fn a_job_reports_every_epoch_and_leaves_weights_in_every_format() {
    let (_folder, dir) = job(&json!({"epochs": 2, "batch_size": 8}));
    let finished = run(&dir);
    assert_eq!((finished.outcome, finished.error), (Outcome::Completed, None));
    let epochs: Vec<u32> = rows(&dir).iter().map(|row| row.epoch).collect();
    assert_eq!(epochs, [0, 1, 2]);
    let seqs: Vec<u64> = events(&dir).iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());

    let names: Vec<&str> = finished.artifacts.iter().map(|a| a.name.as_str()).collect();
    let expected = [
        "best.safetensors",
        "best.pth",
        "best.tflite",
        "last.safetensors",
        "last.pth",
        "last.tflite",
        "unmixed.safetensors",
        "card.json",
    ];
    assert_eq!(names, expected);
    let full = weights::load(&artifact(&dir, "last.safetensors")).unwrap();
    assert_eq!(weights::load(&artifact(&dir, "last.pth")).unwrap(), full);
    let half = weights::load(&artifact(&dir, "last.tflite")).unwrap();
    let name = "backbone1.2.convs.1.weight";
    let values =
        |weights: &blazetune::model::tensors::Weights| weights.arrays()[name].values.clone();
    let gap =
        values(&full).iter().zip(values(&half)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(gap < 1e-2 && full != half, "{gap}");

    let card: serde_json::Value = serde_json::from_slice(&artifact(&dir, "card.json")).unwrap();
    assert_eq!(card["params"]["epochs"], 2);
    assert_eq!(card["baseline"]["epoch"], 0);
    assert!(card["advice"]["expected_change"].as_str().unwrap().starts_with("At a threshold of"));
    assert_eq!(card["dataset"]["content_hash"].as_str().unwrap().len(), 64);
}

#[test]
fn while_only_the_heads_train_the_backbone_stays_unchanged() {
    let stages = json!({"heads_epochs": 1});
    let spec = json!({"epochs": 1, "batch_size": 4, "accumulate_batches": 2, "unfold": "folded", "unfreeze": stages});
    let (_folder, dir) = job(&spec);
    run(&dir);
    let tuned = weights::load(&artifact(&dir, "last.safetensors")).unwrap();
    let base = weights::tflite::mediapipe();
    for (name, array) in tuned.arrays() {
        let is_head = !name.starts_with("backbone");
        assert_eq!(*array != base.arrays()[name], is_head, "{name}");
    }
    assert_eq!(rows(&dir)[1].step, 32_u64.div_ceil(8), "a step has two batches of four");
}

#[test]
fn the_mix_has_the_requested_share_of_the_base_model() {
    let (_folder, dir) =
        job(&json!({"epochs": 1, "batch_size": 8, "retain": 0.25, "calibrate_scores": false}));
    let retention = run(&dir).mixing.unwrap();
    assert_eq!((retention.retain, retention.curve.len()), (0.25, 1));
    let load = |name: &str| weights::load(&artifact(&dir, name)).unwrap();
    let expected = load("unmixed.safetensors").mixed(weights::tflite::mediapipe(), 0.25);
    assert_eq!(load("best.safetensors"), expected);
}

#[test]
fn fine_tuning_learns_to_find_drawn_faces() {
    let (_folder, dir) = job(&json!({"epochs": 20, "batch_size": 4}));
    run(&dir);
    let rows = rows(&dir);
    let ap = |row: &MetricsRow| row.val.ap50_ge6.unwrap();
    let (before, after) = (ap(&rows[0]), ap(&rows[20]));
    assert!(after > 3.0 * before && after > before + 0.05, "{before} → {after}");
}

#[test]
fn a_killed_worker_resumes_from_its_last_epoch_and_ends_with_the_same_numbers() {
    let params = json!({"epochs": 3, "batch_size": 8, "seed": 7});
    let (_one, whole) = job(&params);
    run(&whole);
    let (_two, killed) = job(&params);
    let mut worker = start(&killed);
    wait_for(&killed, |body| matches!(body, Body::Epoch(row) if row.epoch == 1));
    worker.kill().unwrap();
    worker.wait().unwrap();
    assert!(finished(&killed).is_none());

    assert_eq!(run(&killed).outcome, Outcome::Completed);
    let resumed = events(&killed).iter().any(
        |event| matches!(&event.body, Body::Started(started) if started.resumed_at_epoch >= 1),
    );
    assert!(resumed, "it started over");
    assert_eq!(numbers(&rows(&killed)), numbers(&rows(&whole)));
    for name in ["last.pth", "best.pth", "best.tflite"] {
        assert_eq!(artifact(&killed, name), artifact(&whole, name), "{name}");
    }
}

#[test]
fn the_number_of_threads_changes_neither_metrics_nor_weights() {
    let runs = [1, 2].map(|threads| {
        let (_folder, dir) = job(&json!({"epochs": 1, "batch_size": 8, "seed": 3}));
        let mut work = dir.work().unwrap();
        if let Work::Train(spec) = &mut work {
            spec.threads = Some(threads);
        }
        dir.create(&work).unwrap();
        run(&dir);
        (numbers(&rows(&dir)), artifact(&dir, "last.pth"))
    });
    assert_eq!(runs[0], runs[1]);
}

#[test]
fn stop_keeps_the_best_weights_so_far_and_cancel_does_not() {
    for (wanted, outcome) in
        [(Wanted::Stop, Outcome::Stopped), (Wanted::Cancel, Outcome::Cancelled)]
    {
        let (_folder, dir) = job(&json!({"epochs": 500, "batch_size": 8}));
        let mut worker = start(&dir);
        wait_for(&dir, |body| matches!(body, Body::Epoch(row) if row.epoch == 1));
        dir.command(wanted).unwrap();
        assert!(worker.wait().unwrap().success());
        let finished = finished(&dir).unwrap();
        assert_eq!(finished.outcome, outcome);
        let kept = finished.artifacts.iter().any(|artifact| artifact.name == "best.tflite");
        assert_eq!(kept, wanted == Wanted::Stop);
    }
}

#[test]
fn a_paused_job_resumes_where_it_was() {
    let (_folder, dir) = job(&json!({"epochs": 3, "batch_size": 8}));
    let mut worker = start(&dir);
    wait_for(&dir, |body| matches!(body, Body::Epoch(row) if row.epoch == 1));
    dir.command(Wanted::Pause).unwrap();
    worker.wait().unwrap();
    assert_eq!(finished(&dir).unwrap().outcome, Outcome::Paused);
    dir.command(Wanted::Run).unwrap();
    assert_eq!(run(&dir).outcome, Outcome::Completed);
    let epochs: Vec<u32> = rows(&dir).iter().map(|row| row.epoch).collect();
    assert_eq!(epochs, [0, 1, 2, 3]);
}

#[test]
fn a_diverging_loss_fails_the_job_with_advice_and_keeps_the_checkpoint() {
    let params = json!({
        "epochs": 20, "batch_size": 4, "learning_rate": 1.0, "warmup_epochs": 3.0, "unfold": "folded",
        "gradient_clip_norm": 1_000_000.0, "ema_decay": 0.0
    });
    let (_folder, dir) = job(&params);
    let finished = run(&dir);
    assert_eq!(finished.outcome, Outcome::Failed);
    assert_eq!(finished.cause, Some(Cause::Diverged));
    let error = finished.error.unwrap();
    assert!(error.contains("try a lower learning rate"), "{error}");
    let last = rows(&dir).last().unwrap().epoch;
    assert_eq!(dir.last_checkpoint().exists(), last > 0);
}

#[test]
fn a_missing_data_set_fails_the_job_with_advice() {
    let (_folder, dir) = job(&json!({"epochs": 1}));
    let mut work = dir.work().unwrap();
    if let Work::Train(spec) = &mut work {
        spec.dataset_dir = Path::new("/no/such/data set").into();
    }
    dir.create(&work).unwrap();
    let error = run(&dir).error.unwrap();
    assert!(error.contains("import it again") && error.contains("/no/such/data set"), "{error}");
}

#[test]
fn every_way_of_unfolding_trains_and_frozen_keypoint_heads_stay_unchanged() {
    for params in [
        json!({"epochs": 1, "batch_size": 16, "unfold": "identity"}),
        json!({"epochs": 1, "batch_size": 16, "unfold": "calibrated"}),
        json!({"epochs": 1, "batch_size": 16, "unfold": "folded", "freeze_keypoint_heads": true}),
        json!({"epochs": 1, "batch_size": 16, "init": "scratch"}),
    ] {
        let (_folder, dir) = job(&params);
        let finished = run(&dir);
        let unfolds = params["unfold"] == "identity" || params["unfold"] == "calibrated";
        if unfolds && cfg!(not(feature = "torch")) {
            let error = finished.error.unwrap();
            assert!(error.contains("needs libtorch") && error.contains("a build with"), "{error}");
            continue;
        }
        assert_eq!((finished.outcome, finished.error), (Outcome::Completed, None), "{params}");
        let tuned = weights::load(&artifact(&dir, "last.safetensors")).unwrap();
        let rows = |weights: &blazetune::model::tensors::Weights| {
            let bias = &weights.arrays()["regressor_8.bias"].values;
            (bias[..4].to_vec(), bias[4..16].to_vec())
        };
        let (before, after) = (rows(weights::tflite::mediapipe()), rows(&tuned));
        assert_ne!(before.0, after.0, "boxes are trained");
        assert_eq!(before.1 == after.1, params["freeze_keypoint_heads"] == true, "{params}");
    }
}
