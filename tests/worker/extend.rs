//! More epochs for a job that has ended.

use blazetune::protocol::events::Outcome;
use blazetune::protocol::folder::JobDir;
use blazetune::protocol::job_spec::Work;
use blazetune::protocol::metrics::MetricsRow;
use blazetune::protocol::schedule;
use blazetune::worker::checkpoint;
use blazetune::worker::extension;
use serde_json::json;

use crate::{artifact, dataset, job, numbers, rows, run};

/// A job that goes on where `ended` ended, to so many epochs in all.
fn extended(ended: &JobDir, epochs: u32) -> (tempfile::TempDir, JobDir) {
    let folder = tempfile::tempdir().unwrap();
    let dir = JobDir::new(folder.path().join("job"));
    let Work::Train(mut spec) = ended.work().unwrap() else { panic!("it trains") };
    let pictures = blazetune::data::Dataset::open(&dataset()).unwrap();
    let pictures = pictures.manifest.summary().splits.train.images;
    let state = checkpoint::newest(ended).unwrap().newest.unwrap().state;
    let views = state.views_per_step(&spec.params, pictures);
    spec.params = schedule::extended(&spec.params, epochs, views);
    extension::copy(ended, &dir).unwrap();
    dir.create(&Work::Train(spec)).unwrap();
    (folder, dir)
}

fn rates(rows: &[MetricsRow]) -> Vec<(u32, u64, f64)> {
    rows.iter().map(|row| (row.epoch, row.step, row.lr)).collect()
}

#[test]
fn an_extended_job_has_the_rows_of_both_parts_and_the_rates_of_one_planned_so_long() {
    let (_one, first) = job(&json!({"epochs": 2}));
    run(&first);
    let (files, before) = (artifact(&first, "best.pth"), rows(&first));
    let (_two, longer) = extended(&first, 4);
    assert_eq!(run(&longer).outcome, Outcome::Completed);
    let (_three, planned) = job(&json!({"epochs": 4}));
    run(&planned);

    for sheet in ["views-epoch-1.jpg", "views-epoch-2.jpg"] {
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
fn an_extended_job_has_its_patience_anew() {
    // Nothing changes, so no epoch is better than the first.
    let (_one, first) = job(&json!({
        "epochs": 9, "early_stopping_patience": 2, "unfold": "folded",
        "unfreeze": {"heads_epochs": 9, "heads_rate": 0.0}
    }));
    assert_eq!(run(&first).outcome, Outcome::EarlyStopped);
    assert_eq!(rows(&first).last().unwrap().epoch, 3);
    let (_two, longer) = extended(&first, 9);
    assert_eq!(run(&longer).outcome, Outcome::EarlyStopped);
    assert_eq!(rows(&longer).last().unwrap().epoch, 5);
}
