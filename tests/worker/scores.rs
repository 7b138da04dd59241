//! Scores that are shifted so that 0.5 is the threshold to use.

use blazetune::model::tensors::Weights;
use blazetune::protocol::folder::JobDir;
use blazetune::protocol::job_spec::Work;
use blazetune::protocol::score_shift::{ScoreShift, ShiftReason};
use blazetune::weights::{self, tflite};
use serde_json::{Value, json};

use crate::{artifact, extend, job, run};

fn load(dir: &JobDir, name: &str) -> Weights {
    weights::load(&artifact(dir, name)).unwrap()
}

fn card(dir: &JobDir) -> Value {
    serde_json::from_slice(&artifact(dir, "card.json")).unwrap()
}

/// The unmixed weights, mixed and shifted as the card says.
fn expected(dir: &JobDir) -> Weights {
    let card = card(dir);
    let share = card["retention"]["retain"].as_f64().unwrap();
    let mixed = load(dir, "unmixed.safetensors").mixed(tflite::mediapipe(), share as f32);
    mixed.with_scores_shifted(card["score_shift"]["logits"].as_f64().unwrap() as f32)
}

#[test]
fn a_result_is_shifted_once_and_its_card_and_report_describe_what_is_delivered() {
    let (_folder, dir) = job(&json!({"epochs": 4, "batch_size": 4}));
    let finished = run(&dir);
    let shift = *finished.score_shift.unwrap();
    let figures = shift.figures.expect("there are enough faces");
    assert!(shift.logits != 0.0, "{shift:?}");
    assert!(figures.after.f1 >= figures.best_f1 - 0.01, "{shift:?}");
    assert!(figures.after.f1 >= figures.before.f1, "{shift:?}");
    assert_eq!(
        shift.reason == ShiftReason::KeepsLargeFaces,
        figures.after.recall_ge24 >= figures.base.recall_ge24
    );
    assert_eq!(load(&dir, "best.safetensors"), expected(&dir));

    let card = card(&dir);
    assert_eq!(card["score_shift"], json!(shift));
    assert_eq!(
        (&card["recommended_threshold"], &card["advice"]["threshold"]),
        (&json!(0.5), &json!(0.5))
    );
    assert_eq!(card["advice"]["scores"], json!(shift.sentence()));
    assert_eq!(card["result"], json!(finished.result), "the delivered weights' metrics");
    let text = card["advice"]["expected_change"].as_str().unwrap();
    assert!(text.starts_with("At a threshold of 0.50, the new model finds"), "{text}");
    let mixing = finished.mixing.unwrap();
    let (before, after) = (mixing.result().unwrap(), *finished.result.unwrap());
    assert!(before != &after, "the curve's mixes are not shifted");
    let gap = before.ap50_ge6.unwrap() - after.ap50_ge6.unwrap();
    // Suppression weighs boxes by score, so a few of the 45 faces here can change sides.
    assert!(gap.abs() < 0.05, "a shift hardly changes average precision, but {gap}");

    let file = artifact(&dir, "best.tflite");
    let says = |text: &str| file.windows(text.len()).any(|bytes| bytes == text.as_bytes());
    assert!(says(&format!("all logits shifted by {:+.2}", shift.logits)), "the .tflite says so");
}

#[test]
fn an_extended_job_measures_its_shift_anew_instead_of_adding_to_the_first() {
    let (_one, first) = job(&json!({"epochs": 2, "batch_size": 8}));
    run(&first);
    let (_two, longer) = extend::extended(&first, 3, &[extend::CHECKPOINT]);
    run(&longer);
    assert_eq!(load(&longer, "best.safetensors"), expected(&longer));
    let (_three, planned) = job(&json!({"epochs": 3, "batch_size": 8, "calibrate_scores": false}));
    let Work::Train(mut spec) = planned.work().unwrap() else { panic!("it trains") };
    spec.extends_epochs = Some(2);
    planned.create(&Work::Train(spec)).unwrap();
    std::fs::copy(first.last_checkpoint(), planned.last_checkpoint()).unwrap();
    run(&planned);
    for name in ["last.pth", "unmixed.safetensors"] {
        assert_eq!(artifact(&longer, name), artifact(&planned, name), "{name} is not shifted");
    }
}

#[test]
fn without_calibration_scores_stay_as_they_were_trained() {
    let (_folder, dir) = job(&json!({"epochs": 1, "batch_size": 8, "calibrate_scores": false}));
    let finished = run(&dir);
    let mixing = finished.mixing.unwrap();
    assert_eq!((finished.score_shift, finished.result.as_deref()), (None, mixing.result()));
    let mixed = load(&dir, "unmixed.safetensors").mixed(tflite::mediapipe(), mixing.retain as f32);
    assert_eq!(load(&dir, "best.safetensors"), mixed);
    let best = finished.result.unwrap().best_threshold;
    assert_eq!(card(&dir)["recommended_threshold"], json!(best));
}

#[test]
fn weights_that_have_not_changed_stay_googles_file_to_the_bit() {
    for params in [json!({"epochs": 0}), json!({"epochs": 1, "batch_size": 8, "retain": 1.0})] {
        let (_folder, dir) = job(&params);
        let shift = run(&dir).score_shift;
        let unchanged = Box::new(ScoreShift::none(ShiftReason::Unchanged));
        assert_eq!(shift, Some(unchanged), "{params}");
        assert!(artifact(&dir, "best.tflite") == tflite::base(), "{params}");
    }
}
