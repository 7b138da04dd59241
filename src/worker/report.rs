//! The artifacts of an evaluation: the report, the detections, and the worst pictures.

use std::io::{self, Cursor};
use std::path::Path;

use image::{ImageFormat, RgbImage};
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;

use super::artifacts::artifact;
use crate::data::ImportedDataset;
use crate::eval::average_precision::PictureResult;
use crate::eval::matching::matching;
use crate::eval::report::{EvaluationReport, MIN_MISSED_PX};
use crate::eval::{coco, overlay};
use crate::model::layout::INPUT_SIZE;
use crate::protocol::evaluate_spec::SplitChoice;
use crate::protocol::events::Artifact;
use crate::train::evaluation::Evaluation;
use crate::train::views::pictures::{Entry, Pictures};

/// What [`write()`] needs to make the artifacts.
#[derive(Debug)]
pub struct ReportSources<'a> {
    /// The user's name for the data set.
    pub dataset_name: &'a str,
    /// The split that the models were measured on.
    pub split: SplitChoice,
    /// The data set.
    pub dataset: &'a ImportedDataset,
    /// The data set's pictures; `val` holds those that the models were measured on.
    pub pictures: &'a Pictures,
    /// The model's evaluation, then the evaluation of the model that it is compared with, if any.
    pub evaluations: &'a [Evaluation],
}

/// The content of `report.json`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EvaluationReport")]
struct File<'a> {
    format_version: u32,
    /// The user's name for the data set.
    dataset: &'a str,
    /// SHA-256 of the data set's content.
    content_hash: &'a str,
    split: SplitChoice,
    /// Side of the network's input, in pixels.
    input_px: usize,
    /// The model, then the model that it is compared with, if any.
    models: Vec<Figures<'a>>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EvaluatedModel")]
struct Figures<'a> {
    /// The user's name for the model.
    model: &'a str,
    /// Mean distance of the keypoints from the first model's, in face widths; `null` for the first model.
    keypoint_nme: Option<f64>,
    #[serde(flatten)]
    report: &'a EvaluationReport,
}

impl<'a> From<&'a Evaluation> for Figures<'a> {
    fn from(evaluation: &'a Evaluation) -> Self {
        let Evaluation { name, report, keypoint_nme, .. } = evaluation;
        Self { model: name, keypoint_nme: *keypoint_nme, report }
    }
}

/// Adds the schema of `report.json` to the generator's definitions.
pub fn describe(generator: &mut SchemaGenerator) {
    generator.subschema_for::<File<'_>>();
}

/// Suffix of the file names of each model.
pub const SUFFIXES: [&str; 2] = ["", "_compare"];

/// Writes an evaluation's artifacts to `folder`: `report.json`, the annotations and detections in COCO format, and the
/// worst pictures with the models' mistakes drawn in.
///
/// * `drawing`: returns a drawing's path in `folder`, given the model's suffix, the drawing's number from 1 and the
///   picture's path in the data set.
///
/// # Errors
///
/// If a picture cannot be read or a file cannot be written.
pub fn write(
    folder: &Path,
    content: &ReportSources<'_>,
    drawing: &dyn Fn(&str, usize, &str) -> String,
) -> io::Result<Vec<Artifact>> {
    let report = File {
        format_version: 1,
        dataset: content.dataset_name,
        content_hash: &content.dataset.manifest.content_hash,
        split: content.split,
        input_px: INPUT_SIZE,
        models: content.evaluations.iter().map(Figures::from).collect(),
    };
    let mut files = vec![json(folder, "report.json", &report)?];
    for (suffix, evaluation) in SUFFIXES.iter().zip(content.evaluations) {
        let coco = coco_pictures(content.dataset, content.pictures, evaluation);
        if suffix.is_empty() {
            let truth = coco::ground_truth(&coco, INPUT_SIZE as u32);
            files.push(json(folder, "ground_truth.json", &truth)?);
        }
        let found = coco::detections(&coco, INPUT_SIZE as u32);
        files.push(json(folder, &format!("detections{suffix}.json"), &found)?);
        for (place, worst) in evaluation.report.worst.iter().enumerate() {
            let Some(picture) = draw_mistakes(content, evaluation, worst.picture)? else {
                continue;
            };
            let mut jpeg = Cursor::new(Vec::new());
            picture.write_to(&mut jpeg, ImageFormat::Jpeg).map_err(io::Error::other)?;
            let name = drawing(suffix, place + 1, &worst.name);
            files.push(artifact(folder, &name, jpeg.get_ref())?);
        }
    }
    Ok(files)
}

fn json(folder: &Path, name: &str, value: &impl Serialize) -> io::Result<Artifact> {
    artifact(folder, name, &serde_json::to_vec(value)?)
}

fn coco_pictures<'a>(
    dataset: &ImportedDataset,
    pictures: &'a Pictures,
    evaluation: &Evaluation,
) -> Vec<coco::CocoPicture<'a>> {
    let picture = |(&index, result): (&usize, &PictureResult)| {
        let entry = &pictures.entries[index];
        let PictureResult { detections, faces } = in_picture(dataset, index, entry, result);
        let (width, height) = (entry.width, entry.height);
        coco::CocoPicture { name: &entry.name, width, height, faces, detections }
    };
    pictures.val.iter().zip(&evaluation.results).map(picture).collect()
}

/// Returns the result with its boxes in fractions of the picture.
fn in_picture(
    dataset: &ImportedDataset,
    index: usize,
    entry: &Entry,
    result: &PictureResult,
) -> PictureResult {
    let found = result.detections.iter();
    let detections = found.map(|(rect, score)| (entry.letterbox.to_picture(rect), *score));
    let faces = dataset.manifest.pictures[index].faces.clone();
    PictureResult { detections: detections.collect(), faces }
}

/// Draws the mistakes in the picture at `place` in `Pictures::val`. Returns `None` if the data set no longer has the
/// picture.
fn draw_mistakes(
    content: &ReportSources<'_>,
    evaluation: &Evaluation,
    place: usize,
) -> io::Result<Option<RgbImage>> {
    let ReportSources { dataset, pictures, .. } = content;
    let index = pictures.val[place];
    let Some(picture) = dataset.picture(index).map_err(io::Error::other)? else { return Ok(None) };
    let result = &evaluation.results[place];
    let threshold = evaluation.report.threshold();
    let mistakes = matching(result, threshold, MIN_MISSED_PX / INPUT_SIZE as f32);
    let result = in_picture(dataset, index, &pictures.entries[index], result);
    Ok(Some(overlay::draw(&picture, &result, &mistakes)))
}
