//! `blazetune evaluate` as a user runs it, and its figures against COCO's own tools.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use blazetune::model::tensors::Weights;
use blazetune::sample::{self, SampleSpec};
use blazetune::weights::{pth, tflite};
use serde_json::Value;
use tempfile::TempDir;

#[expect(dead_code, reason = "no test here fills a disk")]
mod common;

use common::{python, shared};

#[test]
fn average_precision_matches_cocos_tools() {
    let Some(python) = python() else { return };
    let place = Place::new(40);
    compare_with_coco(&python, &place, &place.path("sample.zip"));
}

#[test]
fn average_precision_on_photographs_matches_cocos_tools() {
    let Some(photographs) = shared("data/wider_val") else { return };
    let Some(python) = python() else { return };
    compare_with_coco(&python, &Place::new(5), &photographs);
}

/// Evaluates two models in one run and compares the figures of each with COCO's.
fn compare_with_coco(python: &Path, place: &Place, dataset: &Path) {
    let (out, moved) = (place.path("out"), place.moved_weights());
    let models = ["--model", "mediapipe", "--split", "all"];
    let files: [(&str, &Path); 2] = [("--compare", &moved), ("--out", &out)];
    succeed(&place.evaluate_at(dataset, &models, &files));
    let report = json(&out.join("report.json"));
    for (number, suffix) in ["", "_compare"].iter().enumerate() {
        let answer = place.path("coco.json");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/coco_ap.py");
        let mut coco = Command::new(python);
        coco.arg("-B").arg(script); // -B: leaves no bytecode
        let found = out.join(format!("detections{suffix}.json"));
        coco.args([&out.join("ground_truth.json"), &found, &answer]);
        succeed(&coco.output().unwrap());
        compare(&report["models"][number], &json(&answer));
    }
}

/// Every figure that both have agrees to 1e-3.
fn compare(ours: &Value, coco: &Value) {
    let list = |rows: &Value, figure: &str| -> Vec<Value> {
        rows.as_array().unwrap().iter().map(|row| row[figure].clone()).collect()
    };
    let mut pairs = vec![("ap50_95".to_owned(), ours["ap50_95"].clone(), coco["ap50_95"].clone())];
    for (name, rows, figure) in [
        ("by_iou", &ours["average_precision"], "ap"),
        ("by_min_size", &ours["by_min_size"], "ap50"),
        ("by_size", &ours["by_size"], "ap50"),
    ] {
        let theirs = coco[name].as_array().unwrap();
        let ours = list(rows, figure);
        assert_eq!(ours.len(), theirs.len(), "{name}");
        let both = ours.into_iter().zip(theirs.iter().cloned());
        pairs.extend(both.enumerate().map(|(row, (a, b))| (format!("{name} {row}"), a, b)));
    }
    for (name, ours, theirs) in pairs {
        match (ours.as_f64(), theirs.as_f64()) {
            (None, None) => {}
            (Some(a), Some(b)) => assert!((a - b).abs() < 1e-3, "{name}: {a}, COCO says {b}"),
            _ => panic!("{name}: {ours}, COCO says {theirs}"),
        }
    }
    let ap50 = coco["by_iou"][0].as_f64().unwrap();
    assert!((0.01..0.99).contains(&ap50), "AP50 of {ap50} proves nothing");
}

#[test]
fn a_folder_can_be_evaluated_and_every_file_is_written() {
    let place = Place::new(10);
    let folder = place.path("folder");
    zip::ZipArchive::new(fs::File::open(place.path("sample.zip")).unwrap())
        .unwrap()
        .extract(&folder)
        .unwrap();
    let out = place.path("out");
    let split = ["--model", "mediapipe", "--split", "all"];
    let output = place.evaluate_at(&folder, &split, &[("--out", &out)]);
    let text = succeed(&output);
    for line in
        ["10 pictures", "mean of 0.50 to 0.95", "min_detection_confidence", "calibration error"]
    {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
    let report = json(&out.join("report.json"));
    let model = &report["models"][0];
    assert_eq!((&report["split"], &model["pictures"]), (&"all".into(), &10.into()));
    let worst = model["worst"].as_array().unwrap();
    let drawings = fs::read_dir(out.join("worst")).unwrap();
    let drawings: Vec<PathBuf> = drawings.map(|file| file.unwrap().path()).collect();
    assert_eq!(drawings.len(), worst.len());
    for drawing in &drawings {
        let picture = image::open(drawing).unwrap();
        assert_eq!(picture.width().max(picture.height()), 768);
    }
    let truth = json(&out.join("ground_truth.json"));
    assert_eq!(truth["images"].as_array().unwrap().len(), 10);
    assert_eq!(truth["annotations"].as_array().unwrap().len() as u64, model["faces"]);
    // The archive, evaluated into the same output folder, gives the same figures.
    succeed(&place.evaluate(&split, &[("--out", &out)]));
    assert_eq!(json(&out.join("report.json"))["models"][0], *model);
    assert_eq!(fs::read_dir(out.join("worst")).unwrap().count(), worst.len());
}

/// Marks rows easy, medium, hard and unknown in turn.
#[test]
fn every_difficulty_that_the_data_set_marks_gets_its_own_figure() {
    let place = Place::new(12);
    let folder = place.path("folder");
    let mut archive = zip::ZipArchive::new(fs::File::open(place.path("sample.zip")).unwrap());
    archive.as_mut().unwrap().extract(&folder).unwrap();
    let (mut counts, words) = ([0; 4], ["easy", "medium", "hard", ""]);
    for table in ["train.csv", "val.csv"].map(|name| folder.join(name)) {
        let Ok(text) = fs::read_to_string(&table) else { continue };
        let mut lines = text.lines();
        let mut marked = format!("{},difficulty\n", lines.next().unwrap());
        for (number, line) in lines.enumerate() {
            // A row without a box is a picture without faces.
            counts[number % 4] += usize::from(!line.ends_with(",,"));
            marked.extend([line, ",", words[number % 4], "\n"]);
        }
        fs::write(&table, marked).unwrap();
    }
    let out = place.path("out");
    let split = ["--model", "mediapipe", "--split", "all"];
    let output = place.evaluate_at(&folder, &split, &[("--out", &out)]);
    let text = succeed(&output);
    assert!(text.contains("WIDER FACE's difficulty"), "{text}");
    let report = json(&out.join("report.json"));
    let rows = report["models"][0]["by_difficulty"].as_array().unwrap();
    let found: Vec<_> = rows.iter().map(|row| (&row["difficulty"], &row["faces"])).collect();
    let [easy, medium, hard, _] = counts;
    let up_to = [easy, easy + medium, easy + medium + hard].map(Value::from);
    let names = ["easy", "medium", "hard"].map(Value::from);
    assert_eq!(found, names.iter().zip(&up_to).collect::<Vec<_>>());
    assert!(rows.iter().all(|row| row["ap50"].is_number()));
}

#[test]
fn an_unreadable_model_or_data_set_is_named_with_advice() {
    let place = Place::new(5);
    let text = place.path("notes.txt");
    fs::write(&text, "hello").unwrap();
    let (absent, empty) = (place.path("absent.pth"), place.path("empty"));
    fs::create_dir(&empty).unwrap();
    let sample = place.path("sample.zip");
    let mediapipe = PathBuf::from("mediapipe");
    for (model, dataset, advice) in [
        (&absent, &sample, "\"mediapipe\""),
        (&text, &sample, "expected .tflite"),
        (&mediapipe, &absent, "zip, tar, tar.gz or folder"),
        (&mediapipe, &text, "not a zip"),
        (&mediapipe, &empty, "is empty"),
    ] {
        let output = place.evaluate_at(dataset, &[], &[("--model", model)]);
        assert!(!output.status.success());
        let errors = String::from_utf8_lossy(&output.stderr);
        let named = if *model == mediapipe { dataset } else { model };
        assert!(errors.contains(advice) && errors.contains(named.to_str().unwrap()), "{errors}");
    }
}

/// A temporary folder with a drawn sample set, `sample.zip`.
struct Place(TempDir);

impl Place {
    fn new(images: u32) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let spec = SampleSpec { images, seed: 3 };
        sample::write(&place.path("sample.zip"), &spec, &mut |_| {}).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `MediaPipe`'s weights, changed enough to find other faces.
    fn moved_weights(&self) -> PathBuf {
        let mut arrays = tflite::mediapipe().arrays().clone();
        for array in arrays.values_mut() {
            for (index, value) in array.values.iter_mut().enumerate() {
                *value *= 1.01 + 0.01 * (index as f32 * 0.7).sin();
            }
        }
        let path = self.path("moved.pth");
        fs::write(&path, pth::write(&Weights::new(arrays).unwrap()).unwrap()).unwrap();
        path
    }

    fn evaluate(&self, arguments: &[&str], files: &[(&str, &Path)]) -> Output {
        self.evaluate_at(&self.path("sample.zip"), arguments, files)
    }

    fn evaluate_at(&self, dataset: &Path, arguments: &[&str], files: &[(&str, &Path)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blazetune"));
        command.arg("evaluate").args(arguments).arg("--dataset").arg(dataset);
        for (option, file) in files {
            command.arg(option).arg(file);
        }
        command.current_dir(self.0.path()).output().expect("blazetune was built")
    }
}

fn succeed(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn json(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}
