//! More epochs for a finished job.

use blazetune::protocol::cause::Cause;
use blazetune::protocol::events::Outcome;
use blazetune::protocol::folder::JobDir;
use blazetune::protocol::job_spec::Work;
use blazetune::protocol::metrics::MetricsRow;
use serde_json::json;

use crate::{artifact, finished, job, numbers, rows, run, start};

/// A job that extends `ended` to this many epochs, with these files copied from its folder.
pub(crate) fn extended(ended: &JobDir, epochs: u32, files: &[&str]) -> (tempfile::TempDir, JobDir) {
    let folder = tempfile::tempdir().unwrap();
    let dir = JobDir::new(folder.path().join("job"));
    let Work::Train(mut spec) = ended.work().unwrap() else { panic!("it trains") };
    spec.extends_epochs = Some(spec.params.epochs);
    spec.params.epochs = epochs;
    dir.create(&Work::Train(spec)).unwrap();
    for file in files {
        std::fs::copy(ended.path().join(file), dir.path().join(file)).unwrap();
    }
    (folder, dir)
}

pub(crate) const CHECKPOINT: &str = "checkpoints/last.safetensors";

fn rates(rows: &[MetricsRow]) -> Vec<(u32, u64, f64)> {
    rows.iter().map(|row| (row.epoch, row.step, row.lr)).collect()
}

#[test]
fn an_extended_job_has_the_rows_of_both_parts_and_the_rates_of_a_job_planned_that_long() {
    let (_one, first) = job(&json!({"epochs": 2}));
    run(&first);
    let (files, before) = (artifact(&first, "best.pth"), rows(&first));
    let sheets = ["views-epoch-1.jpg", "views-epoch-2.jpg"];
    let views = sheets.map(|sheet| format!("artifacts/{sheet}"));
    let (_two, longer) = extended(&first, 4, &[CHECKPOINT, &views[0], &views[1]]);
    assert_eq!(run(&longer).outcome, Outcome::Completed);
    let (_three, planned) = job(&json!({"epochs": 4}));
    run(&planned);

    for sheet in sheets {
        assert_eq!(artifact(&longer, sheet), artifact(&first, sheet));
    }
    let (longer, planned) = (rows(&longer), rows(&planned));
    assert_eq!(longer.iter().map(|row| row.epoch).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert_eq!(numbers(&longer[..3]), numbers(&before));
    assert_eq!(rates(&longer[3..]), rates(&planned[3..]));
    assert!(longer[3].lr > longer[2].lr, "up from the floor");
    assert_eq!((artifact(&first, "best.pth"), rows(&first)), (files, before), "nothing is lost");
}

#[test]
fn extending_a_job_resets_its_early_stopping_patience() {
    // At a rate of 0 nothing changes, so no epoch is better than the first.
    let (_one, first) = job(&json!({
        "epochs": 9, "early_stopping_patience": 2, "unfold": "folded",
        "unfreeze": {"heads_epochs": 9, "heads_rate": 0.0}
    }));
    assert_eq!(run(&first).outcome, Outcome::EarlyStopped);
    assert_eq!(rows(&first).last().unwrap().epoch, 3);
    let (_two, longer) = extended(&first, 9, &[CHECKPOINT]);
    assert_eq!(run(&longer).outcome, Outcome::EarlyStopped);
    assert_eq!(rows(&longer).last().unwrap().epoch, 5);
}

#[test]
fn an_extended_job_keeps_the_views_per_step_of_the_finished_one() {
    // With 32 pictures, a new job of 4,000 epochs would have 32 views a step, not 8.
    let (_one, first) = job(&json!({"epochs": 1}));
    run(&first);
    let (_two, longer) = extended(&first, 4000, &[CHECKPOINT]);
    longer.command(blazetune::protocol::control::Command::Stop).unwrap();
    run(&longer);
    let started = crate::events(&longer).into_iter().find_map(|event| match event.body {
        blazetune::protocol::events::Body::Started(started) => Some(started),
        _ => None,
    });
    assert_eq!(started.unwrap().views_per_step, Some(8));
}

#[test]
fn an_extended_job_without_its_checkpoint_fails_instead_of_starting_over() {
    let (_one, first) = job(&json!({"epochs": 1}));
    run(&first);
    let (_two, longer) = extended(&first, 2, &[]);
    assert!(start(&longer).wait().unwrap().success());
    let missing = finished(&longer).unwrap();
    assert_eq!((missing.outcome, missing.cause), (Outcome::Failed, Some(Cause::BadCheckpoint)));
    assert!(missing.error.as_ref().unwrap().contains("it is missing"), "{missing:?}");

    let (_three, damaged) = extended(&first, 2, &[CHECKPOINT]);
    std::fs::write(damaged.last_checkpoint(), "damaged").unwrap();
    assert!(start(&damaged).wait().unwrap().success());
    assert_eq!(finished(&damaged).unwrap().cause, Some(Cause::BadCheckpoint));
    assert_eq!(rows(&damaged), []);
}
