//! What a worker reports after a panic.

use std::fs;

use blazetune::protocol::cause::Cause;
use blazetune::protocol::events::{Body, Finished, Outcome};
use blazetune::protocol::folder::JobDir;
use blazetune::protocol::job_spec::Work;
use serde_json::json;

use crate::{dataset, finished, job, run, start, wait_for};

/// Runs a job that meets this fault at its first step, and returns how it ended.
fn after(fault: &str) -> (tempfile::TempDir, JobDir, Finished) {
    let (folder, dir) = job(&json!({"epochs": 1, "batch_size": 8}));
    let faults = json!([{"at": "step", "number": 1, "do": fault}]);
    fs::write(dir.faults_file(), faults.to_string()).unwrap();
    let finished = run(&dir);
    (folder, dir, finished)
}

#[test]
fn libtorch_is_quoted_without_its_backtrace() {
    for (fault, cause, told) in [
        (
            "cuda_memory",
            Cause::OutOfMemory,
            "libtorch says: CUDA out of memory. Tried to allocate 2.00 GiB; try a smaller batch_size",
        ),
        ("device_lost", Cause::DeviceLost, "libtorch says: CUDA error: unspecified launch failure"),
    ] {
        let (_folder, _dir, finished) = after(fault);
        assert_eq!((finished.outcome, finished.cause), (Outcome::Failed, Some(cause)));
        assert_eq!(finished.error.unwrap(), told);
    }
}

#[test]
fn a_panic_is_reported_as_a_bug_and_its_place_is_in_the_log() {
    let (_folder, dir, finished) = after("panic");
    assert_eq!((finished.outcome, finished.cause), (Outcome::Failed, Some(Cause::Internal)));
    let told = "this is a bug in Blazetune; please report it with the job's log: a planned panic";
    assert_eq!(finished.error.unwrap(), told);
    let log = fs::read_to_string(dir.log_file()).unwrap();
    let line = log.lines().find(|line| line.contains("panic: a planned panic")).unwrap();
    assert!(line.contains("src/worker/faults.rs:") && line.contains("backtrace"), "{line}");
}

#[test]
fn unreadable_pictures_are_reported_as_a_disk_error() {
    let (folder, dir) = job(&json!({"epochs": 500, "batch_size": 8}));
    let copy = folder.path().join("dataset");
    fs::create_dir(&copy).unwrap();
    for file in fs::read_dir(dataset()).unwrap().map(Result::unwrap) {
        fs::copy(file.path(), copy.join(file.file_name())).unwrap();
    }
    let Work::Train(mut spec) = dir.work().unwrap() else { panic!("it trains") };
    spec.dataset_dir.clone_from(&copy);
    dir.create(&Work::Train(spec)).unwrap();
    let mut worker = start(&dir);
    wait_for(&dir, |body| matches!(body, Body::Epoch(row) if row.epoch == 1));
    let squares = fs::File::options().write(true).open(copy.join("pictures.u8")).unwrap();
    squares.set_len(0).unwrap();
    assert!(worker.wait().unwrap().success());
    let finished = finished(&dir).unwrap();
    assert_eq!((finished.outcome, finished.cause), (Outcome::Failed, Some(Cause::DiskError)));
    let told = finished.error.unwrap();
    assert!(told.starts_with("the data set's pictures can no longer be read: "), "{told}");
}
