//! The diagnostics of a training job: figures, sample views and the event file.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use blazetune::protocol::control::Command as Wanted;
use blazetune::protocol::diagnostics::FaceSize;
use blazetune::protocol::events::{Artifact, Body, Event, Outcome};
use blazetune::protocol::folder::JobDir;
use blazetune::protocol::metrics::MetricsRow;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::common::python;
use crate::{artifact, events, job, rows, run, start, wait_for};

#[test]
fn every_trained_epoch_has_diagnostics_that_agree_with_its_figures() {
    let (_folder, dir) = job(&json!({"epochs": 2, "batch_size": 8, "accumulate_batches": 2}));
    run(&dir);
    let rows = rows(&dir);
    assert_eq!(rows[0].diagnostics, None);
    for row in &rows[1..] {
        let (found, train) = (row.diagnostics.as_ref().unwrap(), row.train.unwrap());
        for (whole, parts) in [
            (train.box_loss, found.grids.iter().map(|grid| grid.box_loss).sum::<f64>()),
            (train.positive, found.grids.iter().map(|grid| grid.positive).sum()),
            (train.background, found.grids.iter().map(|grid| grid.background).sum()),
        ] {
            assert!((whole - parts).abs() < 1e-4 * whole.max(1.0), "{whole} is not {parts}");
        }
        let positives =
            |size: &FaceSize| size.positives_per_face.unwrap_or(0.0) * size.count as f64;
        let by_size: f64 = found.faces.iter().map(positives).sum();
        let by_iou: u64 = found.score_by_iou.iter().map(|bin| bin.count).sum();
        assert!(by_iou > 0 && (by_size - by_iou as f64).abs() < 1e-6, "{by_size} is not {by_iou}");
        assert!((0.0..1.0).contains(&found.views_without_face));
    }
}

/// The files that the worker announced before it finished.
fn announced(dir: &JobDir) -> BTreeMap<String, Artifact> {
    let written = |event: Event| match event.body {
        Body::Artifacts(written) => written.artifacts,
        _ => Vec::new(),
    };
    let files = events(dir).into_iter().flat_map(written);
    files.map(|file| (file.name.clone(), file)).collect()
}

#[test]
fn announced_sample_views_and_event_files_match_those_on_disk() {
    let (_folder, dir) = job(&json!({"epochs": 3, "batch_size": 8}));
    run(&dir);
    let files = announced(&dir);
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(names, ["events.out.tfevents.blazetune", "views-epoch-1.jpg", "views-epoch-2.jpg"]);
    for (name, file) in &files {
        assert_eq!(hex::encode(Sha256::digest(artifact(&dir, name))), file.sha256, "{name}");
    }
    let sheet = image::load_from_memory(&artifact(&dir, "views-epoch-2.jpg")).unwrap();
    assert_eq!((sheet.width(), sheet.height()), (4 * 260 + 4, 2 * 260 + 4), "eight views");
    let named: Vec<_> = rows(&dir)
        .iter()
        .map(|row| row.diagnostics.as_ref().and_then(|found| found.sample_views.clone()))
        .collect();
    let expected = [None, Some("views-epoch-1.jpg"), Some("views-epoch-2.jpg"), None];
    assert_eq!(named, expected.map(|name| name.map(str::to_owned)));
}

/// Pauses a job, cuts off the end of its file as a kill in the middle of a write would, and resumes it.
#[test]
fn tensorboard_reads_every_epoch_once_even_after_an_interrupted_write() {
    let Some(python) = python() else { return };
    let (folder, dir) = job(&json!({"epochs": 4, "batch_size": 8}));
    let mut worker = start(&dir);
    wait_for(&dir, |body| matches!(body, Body::Epoch(row) if row.epoch == 1));
    dir.command(Wanted::Pause).unwrap();
    worker.wait().unwrap();
    let file = dir.artifacts().join("events.out.tfevents.blazetune");
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() - 7]).unwrap();
    dir.command(Wanted::Run).unwrap();
    assert_eq!(run(&dir).outcome, Outcome::Completed);

    let out = folder.path().join("out.json");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/tensorboard_events.py");
    let mut command = Command::new(python);
    command.arg("-B").arg(script).arg(&file).arg(&out); // -B: leaves no bytecode
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: serde_json::Value = serde_json::from_slice(&std::fs::read(out).unwrap()).unwrap();
    let rows = rows(&dir);
    let expect = |tag: &str, of: &dyn Fn(&MetricsRow) -> Option<f64>| {
        let values: Vec<(u32, f32)> =
            rows.iter().filter_map(|row| Some((row.epoch, of(row)? as f32))).collect();
        assert!(values.len() >= 4, "{tag} has too few values");
        let read: Vec<(u32, f32)> =
            serde_json::from_value(found["scalars"][tag].clone()).unwrap_or_default();
        assert_eq!(read, values, "{tag}");
    };
    expect("val/ap50_ge6", &|row| row.val.ap50_ge6);
    expect("train/loss", &|row| Some(row.train?.loss));
    expect("train/gradient_norm", &|row| Some(row.train?.gradient_norm));
    expect("run/learning_rate", &|row| row.train.map(|_| row.lr));
    expect("views/without_face", &|row| Some(row.diagnostics.as_ref()?.views_without_face));
    expect("grid_8x8/box", &|row| Some(row.diagnostics.as_ref()?.grids[1].box_loss));
    expect("positives_per_face/12_to_24_px", &|row| {
        row.diagnostics.as_ref()?.faces[2].positives_per_face
    });
    let sheets = [1, 2, 4].map(|epoch| {
        let jpeg = artifact(&dir, &format!("views-epoch-{epoch}.jpg"));
        json!([epoch, 1044, 524, jpeg.len()])
    });
    assert_eq!(found["images"], json!({"views": sheets}));
}
