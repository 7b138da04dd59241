//! A worker that mixes.

use blazetune::protocol::cause::Cause;
use blazetune::protocol::control::Command;
use blazetune::protocol::events::Outcome;
use blazetune::protocol::folder::JobDir;
use blazetune::protocol::job_spec::Work;
use blazetune::protocol::mix_spec::MixSpec;
use blazetune::protocol::train_spec::DeviceChoice;
use serde_json::json;

use crate::{artifact, dataset, job, rows, run};

fn mix(trained: &JobDir, retain: f64, measures: bool) -> (tempfile::TempDir, JobDir) {
    let folder = tempfile::tempdir().unwrap();
    let dir = JobDir::new(folder.path().join("job"));
    let spec = MixSpec {
        weights_file: trained.artifacts().join("unmixed.safetensors"),
        retain,
        calibrate_scores: true,
        dataset_dir: measures.then(dataset),
        device: DeviceChoice::Cpu,
        threads: Some(1),
    };
    dir.create(&Work::Mix(spec)).unwrap();
    (folder, dir)
}

#[test]
fn a_mix_has_the_weights_and_metrics_of_a_job_trained_with_the_same_share() {
    let (_one, trained) = job(&json!({"epochs": 1, "retain": 0.25}));
    let expected = run(&trained);
    let (_two, mixed) = mix(&trained, 0.25, true);
    let found = run(&mixed);
    assert_eq!((found.outcome, &found.mixing), (Outcome::Completed, &expected.mixing));
    assert_eq!((found.score_shift, found.result), (expected.score_shift, expected.result));
    assert_eq!(artifact(&mixed, "best.pth"), artifact(&trained, "best.pth"));
    assert_eq!(rows(&mixed)[0].val, rows(&trained)[0].val, "the base model's");
}

#[test]
fn a_mix_without_pictures_keeps_its_scores() {
    let (_one, trained) = job(&json!({"epochs": 1, "retain": 0.25, "calibrate_scores": false}));
    run(&trained);
    let (_two, unmeasured) = mix(&trained, 0.25, false);
    let found = run(&unmeasured);
    assert_eq!((found.outcome, found.mixing.unwrap().curve), (Outcome::Completed, vec![]));
    assert_eq!((found.score_shift, found.result), (None, None));
    assert_eq!(artifact(&unmeasured, "best.tflite"), artifact(&trained, "best.tflite"));
}

#[test]
fn a_cancelled_mix_leaves_no_artifacts_and_one_without_weights_fails() {
    let (_one, trained) = job(&json!({"epochs": 1}));
    run(&trained);
    let (_two, cancelled) = mix(&trained, 0.5, true);
    cancelled.command(Command::Cancel).unwrap();
    let found = run(&cancelled);
    assert_eq!((found.outcome, found.artifacts), (Outcome::Cancelled, vec![]));

    let (_three, lost) = mix(&trained, 0.5, true);
    std::fs::remove_file(trained.artifacts().join("unmixed.safetensors")).unwrap();
    let found = run(&lost);
    assert_eq!((found.outcome, found.cause), (Outcome::Failed, Some(Cause::BadWeights)));
}
