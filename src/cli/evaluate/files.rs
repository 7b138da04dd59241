//! What `--out` asks for: the report, the detections, and the worst pictures.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context;
use blazetune::data::Dataset;
use blazetune::disk;
use blazetune::eval::average_precision::PictureResult;
use blazetune::eval::matching::matching;
use blazetune::eval::report::{MIN_MISSED_PX, Report};
use blazetune::eval::{coco, overlay};
use blazetune::model::layout::INPUT_SIZE;
use blazetune::train::evaluation::Evaluation;
use blazetune::train::pictures::{Entry, Pictures};
use serde::Serialize;

use super::{Args, Measured};

/// `report.json`.
#[derive(Serialize)]
struct File<'a> {
    format_version: u32,
    /// As the command line has it.
    dataset: String,
    /// SHA-256 of the data set's content.
    content_hash: &'a str,
    split: String,
    /// Side of the network's input, in pixels.
    input_px: usize,
    /// The model, then the one it is compared with.
    models: Vec<Figures<'a>>,
}

#[derive(Serialize)]
struct Figures<'a> {
    /// As the command line has it.
    model: &'a str,
    /// How far keypoints are from the first model's, over the face's width; `null` for the first.
    keypoint_nme: Option<f64>,
    #[serde(flatten)]
    report: &'a Report,
}

impl<'a> Figures<'a> {
    fn new(measured: &'a Measured) -> Self {
        let Evaluation { report, keypoint_nme, .. } = &measured.evaluation;
        Self { model: &measured.name, keypoint_nme: *keypoint_nme, report }
    }
}

/// Ends of the names of each model's files.
const SUFFIXES: [&str; 2] = ["", "_compare"];

pub(super) fn write(
    out: &Path,
    dataset: &Path,
    pictures: &Pictures,
    args: &Args,
    models: &[Measured],
) -> anyhow::Result<()> {
    let dataset = Dataset::open(dataset)?;
    let report = File {
        format_version: 1,
        dataset: args.dataset.display().to_string(),
        content_hash: &dataset.manifest.content_hash,
        split: args.split.to_string(),
        input_px: INPUT_SIZE,
        models: models.iter().map(Figures::new).collect(),
    };
    json(&out.join("report.json"), &report)?;

    for (suffix, model) in SUFFIXES.iter().zip(models) {
        let evaluation = &model.evaluation;
        let coco = coco_pictures(&dataset, pictures, evaluation);
        let found = coco::detections(&coco, INPUT_SIZE as u32);
        json(&out.join(format!("detections{suffix}.json")), &found)?;
        if suffix.is_empty() {
            let truth = coco::ground_truth(&coco, INPUT_SIZE as u32);
            json(&out.join("ground_truth.json"), &truth)?;
        }
        let folder = out.join(format!("worst{suffix}"));
        draw_worst(&folder, &dataset, pictures, evaluation)?;
    }
    Ok(())
}

fn json(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_vec(value)?;
    disk::write(path, &text).with_context(|| format!("cannot write {}", path.display()))
}

fn coco_pictures<'a>(
    dataset: &Dataset,
    pictures: &'a Pictures,
    evaluation: &Evaluation,
) -> Vec<coco::Picture<'a>> {
    let picture = |(&index, result): (&usize, &PictureResult)| {
        let entry = &pictures.entries[index];
        let PictureResult { detections, faces } = in_picture(dataset, index, entry, result);
        let (width, height) = (entry.width, entry.height);
        coco::Picture { name: &entry.name, width, height, faces, detections }
    };
    pictures.val.iter().zip(&evaluation.results).map(picture).collect()
}

/// As fractions of the picture.
fn in_picture(
    dataset: &Dataset,
    index: usize,
    entry: &Entry,
    result: &PictureResult,
) -> PictureResult {
    let found = result.detections.iter();
    let detections = found.map(|(rect, score)| (entry.letterbox.to_picture(rect), *score));
    let faces = dataset.manifest.pictures[index].faces.clone();
    PictureResult { detections: detections.collect(), faces }
}

/// `01_name.jpg`, worst first.
fn draw_worst(
    folder: &Path,
    dataset: &Dataset,
    pictures: &Pictures,
    evaluation: &Evaluation,
) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    remove_drawings(folder)?;
    let threshold = evaluation.report.threshold();
    for (place, worst) in evaluation.report.worst.iter().enumerate() {
        let index = pictures.val[worst.picture];
        let Some(picture) = dataset.picture(index)? else { continue };
        let result = &evaluation.results[worst.picture];
        let mistakes = matching(result, threshold, MIN_MISSED_PX / INPUT_SIZE as f32);
        let result = in_picture(dataset, index, &pictures.entries[index], result);
        let drawing = overlay::draw(&picture, &result, &mistakes);
        let stem = Path::new(&worst.name).file_stem().unwrap_or_default().to_string_lossy();
        drawing.save(folder.join(format!("{:02}_{stem}.jpg", place + 1)))?;
    }
    Ok(())
}

/// What an earlier run left, and nothing else.
fn remove_drawings(folder: &Path) -> io::Result<()> {
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_numbered = matches!(name.as_bytes(), [b'0'..=b'9', b'0'..=b'9', b'_', ..]);
        if is_numbered && name.ends_with(".jpg") {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
