//! An interrupted job resumes where it was, and its results do not differ.

use std::time::{Duration, Instant};

use blazetune::protocol::cause::Cause;
use blazetune::protocol::control::Command as Wanted;
use blazetune::protocol::events::{Body, Outcome};
use blazetune::protocol::folder::JobDir;
use blazetune::protocol::job_spec::Work;
use rand::RngExt;
use serde_json::{Value, json};

use crate::{artifact, events, finished, job, numbers, rows, run, start};

/// Four steps an epoch and two batches a step, with early stopping and mosaics.
fn params() -> Value {
    json!({"epochs": 3, "batch_size": 4, "accumulate_batches": 2, "seed": 7, "early_stopping_patience": 2})
}

fn checkpoint_every(dir: &JobDir, steps: u32) {
    let Work::Train(mut spec) = dir.work().unwrap() else { panic!("it trains") };
    spec.checkpoints.steps = steps;
    dir.create(&Work::Train(spec)).unwrap();
}

fn plan_faults(dir: &JobDir, faults: &Value) {
    std::fs::write(dir.faults_file(), faults.to_string()).unwrap();
}

/// Starts a worker, holds it in the middle of its first epoch, and gives it this command.
fn command_within_an_epoch(dir: &JobDir, wanted: Wanted) {
    checkpoint_every(dir, 2);
    plan_faults(dir, &json!([{"at": "step", "number": 5, "do": "wait"}]));
    let mut worker = start(dir);
    let deadline = Instant::now() + Duration::from_mins(2);
    while std::fs::read(dir.faults_file()).unwrap() != b"[]" {
        assert!(Instant::now() < deadline, "it never reached the step: {:?}", events(dir));
        std::thread::sleep(Duration::from_millis(20));
    }
    dir.command(wanted).unwrap();
    worker.wait().unwrap();
}

/// Starts workers until one reports how it ended; returns how many it took.
fn run_until_finished(dir: &JobDir) -> usize {
    for workers in 1..100 {
        start(dir).wait().unwrap();
        if finished(dir).is_some() {
            return workers;
        }
    }
    panic!("no worker finished the job: {:?}", events(dir));
}

fn assert_same(interrupted: &JobDir, whole: &JobDir) {
    assert_eq!(finished(interrupted).unwrap().outcome, finished(whole).unwrap().outcome);
    assert_eq!(numbers(&rows(interrupted)), numbers(&rows(whole)));
    for file in ["best.safetensors", "last.pth", "best.tflite", "views-epoch-2.jpg"] {
        if file.ends_with("safetensors") {
            let load = |dir| blazetune::weights::load(&artifact(dir, file)).unwrap();
            assert_eq!(load(interrupted), load(whole), "{file}");
        } else {
            assert!(artifact(interrupted, file) == artifact(whole, file), "{file} differs");
        }
    }
}

fn resumed_at(dir: &JobDir) -> Vec<(u32, u32)> {
    let at = |body| match body {
        Body::Started(started) => Some((started.resumed_at_epoch, started.resumed_at_step)),
        _ => None,
    };
    events(dir).into_iter().filter_map(|event| at(event.body)).collect()
}

#[test]
fn a_worker_killed_anywhere_resumes_within_the_epoch_and_ends_with_the_same_bits() {
    let (_one, whole) = job(&params());
    run(&whole);
    let (_two, killed) = job(&params());
    checkpoint_every(&killed, 2);
    plan_faults(
        &killed,
        &json!([
            {"at": "step", "number": 1, "do": "kill"}, // before the first checkpoint
            {"at": "step", "number": 3, "do": "kill"}, // after the checkpoint of step 2
            {"at": "saved", "number": 4, "do": "kill"}, // at the end of an epoch
            {"at": "step", "number": 7, "do": "kill"},
            {"at": "row", "number": 2, "do": "kill"}, // saved but not yet reported
            {"at": "end", "do": "kill"}
        ]),
    );
    assert_eq!(run_until_finished(&killed), 7);
    let at = resumed_at(&killed);
    assert_eq!(at, [(0, 0), (0, 0), (0, 2), (1, 0), (1, 2), (2, 0), (3, 0)]);
    assert_same(&killed, &whole);
}

#[test]
fn pause_and_stop_within_an_epoch_lose_nothing() {
    let long = json!({"epochs": 2, "batch_size": 1, "seed": 7});
    let (_one, whole) = job(&long);
    run(&whole);
    let (_two, paused) = job(&long);
    command_within_an_epoch(&paused, Wanted::Pause);
    assert_eq!(finished(&paused).unwrap().outcome, Outcome::Paused);
    paused.command(Wanted::Run).unwrap();
    run(&paused);
    let at = resumed_at(&paused)[1];
    assert!(at.1 > 0, "resumed at {at:?}");
    assert_same(&paused, &whole);

    let (_three, stopped) = job(&long);
    command_within_an_epoch(&stopped, Wanted::Stop);
    let rows = rows(&stopped);
    let last = rows.last().unwrap();
    assert!(last.step > 0 && last.step < 64, "{last:?}");
    assert_eq!(finished(&stopped).unwrap().outcome, Outcome::Stopped);
    let base = blazetune::weights::tflite::mediapipe();
    let tuned = blazetune::weights::load(&artifact(&stopped, "last.safetensors")).unwrap();
    assert!(tuned != *base, "the artifact has what was learnt");
}

#[test]
fn a_resumed_job_keeps_its_batch_size_even_if_another_device_would_choose_a_larger_one() {
    let (_one, whole) = job(&params());
    run(&whole);
    let (_two, moved) = job(&params());
    command_within_an_epoch(&moved, Wanted::Pause);
    let Work::Train(mut spec) = moved.work().unwrap() else { panic!("it trains") };
    spec.params.batch_size = 32; // as if another device had chosen it
    moved.create(&Work::Train(spec)).unwrap();
    moved.command(Wanted::Run).unwrap();
    run(&moved);
    assert_same(&moved, &whole);
}

#[test]
fn a_job_with_smaller_batches_makes_the_same_steps() {
    let (_one, whole) = job(&params());
    run(&whole);
    let (_two, divided) = job(&params());
    command_within_an_epoch(&divided, Wanted::Pause);
    let Work::Train(mut spec) = divided.work().unwrap() else { panic!("it trains") };
    spec.batch_divisor = 2;
    divided.create(&Work::Train(spec)).unwrap();
    divided.command(Wanted::Run).unwrap();
    run(&divided);
    let steps = |dir| rows(dir).iter().map(|row| (row.step, row.lr)).collect::<Vec<_>>();
    assert_eq!(steps(&divided), steps(&whole));
    for (divided, whole) in rows(&divided).iter().zip(&rows(&whole)).skip(1) {
        let losses = [divided, whole].map(|row| row.train.unwrap().loss);
        assert!((losses[0] - losses[1]).abs() < 0.02 * losses[1], "{losses:?}: beyond rounding");
    }
}

#[test]
fn a_damaged_checkpoint_is_noticed_and_the_previous_one_gives_the_same_bits() {
    let (_one, whole) = job(&params());
    run(&whole);
    let truncate: &dyn Fn(&mut Vec<u8>) = &|bytes| bytes.truncate(bytes.len() / 2);
    let flip: &dyn Fn(&mut Vec<u8>) = &|bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    };
    for damage in [truncate, flip] {
        let (_two, damaged) = job(&params());
        checkpoint_every(&damaged, 2);
        plan_faults(&damaged, &json!([{"at": "saved", "number": 6, "do": "kill"}]));
        start(&damaged).wait().unwrap();
        let mut bytes = std::fs::read(damaged.last_checkpoint()).unwrap();
        damage(&mut bytes);
        std::fs::write(damaged.last_checkpoint(), &bytes).unwrap();
        run_until_finished(&damaged);
        assert_eq!(resumed_at(&damaged), [(0, 0), (1, 0)]);
        assert_same(&damaged, &whole);
    }
}

#[test]
fn disk_and_device_faults_are_reported_and_the_next_worker_ends_with_the_same_bits() {
    let (_one, whole) = job(&params());
    run(&whole);
    for (fault, cause) in [
        ("disk_full", Cause::DiskFull),
        ("disk_broken", Cause::DiskError),
        ("cuda_memory", Cause::OutOfMemory),
        ("device_lost", Cause::DeviceLost),
    ] {
        let (_two, broken) = job(&params());
        checkpoint_every(&broken, 2);
        plan_faults(&broken, &json!([{"at": "step", "number": 7, "do": fault}]));
        let finished = run(&broken);
        assert_eq!((finished.outcome, finished.cause), (Outcome::Failed, Some(cause)));
        run(&broken);
        assert_eq!(resumed_at(&broken), [(0, 0), (1, 2)], "{fault}");
        assert_same(&broken, &whole);
    }
}

/// Part of `make soak`: each job is killed once, at a random step, with its last checkpoint up to five steps old.
#[test]
#[ignore = "takes some minutes; part of `make soak`"]
#[expect(clippy::print_stdout, reason = "`make soak` shows this figure")]
fn fifty_jobs_killed_at_random_steps_end_with_the_same_bits() {
    let params = json!({"epochs": 2, "batch_size": 2, "seed": 7});
    let (_one, whole) = job(&params);
    run(&whole);
    let mut rng = rand_pcg::Pcg32::new(7, 7);
    let (mut kills, mut same) = (0, 0);
    for _ in 0..50 {
        let (_two, killed) = job(&params);
        checkpoint_every(&killed, rng.random_range(1..=5));
        let step = rng.random_range(1..=31);
        plan_faults(&killed, &json!([{"at": "step", "number": step, "do": "kill"}]));
        kills += run_until_finished(&killed) - 1;
        assert_same(&killed, &whole);
        same += 1;
    }
    println!("{kills} kills at random steps, {same} of 50 jobs ended with the same bits");
}

#[test]
fn a_job_fails_if_both_its_checkpoints_are_damaged() {
    let (_one, damaged) = job(&params());
    checkpoint_every(&damaged, 2);
    plan_faults(&damaged, &json!([{"at": "saved", "number": 4, "do": "kill"}]));
    start(&damaged).wait().unwrap();
    for path in [damaged.last_checkpoint(), damaged.previous_checkpoint()] {
        std::fs::write(path, "nothing").unwrap();
    }
    let finished = run(&damaged);
    assert_eq!((finished.outcome, finished.cause), (Outcome::Failed, Some(Cause::BadCheckpoint)));
    assert!(finished.error.unwrap().contains("cannot be used"));
}
