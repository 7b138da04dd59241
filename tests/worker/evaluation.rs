//! A worker that evaluates.

use std::path::PathBuf;

use blazetune::protocol::cause::Cause;
use blazetune::protocol::control::Command;
use blazetune::protocol::evaluate_spec::{EvaluationSpec, NamedModel, SplitChoice};
use blazetune::protocol::events::Outcome;
use blazetune::protocol::folder::JobDir;
use blazetune::protocol::job_spec::Work;
use blazetune::protocol::train_spec::DeviceChoice;

use crate::{dataset, run};

fn evaluation(weights: Option<PathBuf>) -> (tempfile::TempDir, JobDir) {
    let folder = tempfile::tempdir().unwrap();
    let dir = JobDir::new(folder.path().join("job"));
    let spec = EvaluationSpec {
        dataset: "drawn".into(),
        dataset_dir: dataset(),
        split: SplitChoice::Val,
        models: vec![NamedModel { name: "mine".into(), file: weights }],
        device: DeviceChoice::Cpu,
        threads: Some(1),
    };
    dir.create(&Work::Evaluate(spec)).unwrap();
    (folder, dir)
}

#[test]
fn an_evaluation_obeys_pause_and_cancel_and_starts_over_when_resumed() {
    let (_folder, dir) = evaluation(None);
    for (command, outcome) in
        [(Command::Pause, Outcome::Paused), (Command::Cancel, Outcome::Cancelled)]
    {
        dir.command(command).unwrap();
        let finished = run(&dir);
        assert_eq!((finished.outcome, finished.artifacts), (outcome, vec![]));
        assert!(!dir.artifacts().join("report.json").exists());
    }
    dir.command(Command::Run).unwrap();
    let finished = run(&dir);
    assert_eq!((finished.outcome, finished.error), (Outcome::Completed, None));
    let report = finished.artifacts.iter().find(|file| file.name == "report.json").unwrap();
    let length = dir.artifacts().join("report.json").metadata().unwrap().len();
    assert_eq!(report.size_bytes, length);
}

#[test]
fn the_error_about_unreadable_weights_names_their_model() {
    let (_folder, dir) = evaluation(Some("/no/such/weights".into()));
    let finished = run(&dir);
    let error = finished.error.unwrap();
    assert!(error.starts_with("the weights of the model \"mine\" cannot be used: "), "{error}");
    assert_eq!((finished.outcome, finished.cause), (Outcome::Failed, Some(Cause::BadWeights)));
}
