//! A job's artifacts: weights in every format, and a card that records their origin.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::advice::Advice;
use super::error::RunError;
use crate::data::ImportedDataset;
use crate::disk;
use crate::model::layout::Variant;
use crate::model::tensors::Weights;
use crate::protocol::events::Artifact;
use crate::protocol::folder::{JobDir, UNMIXED};
use crate::protocol::job_spec::JobSpec;
use crate::protocol::metrics::{MetricsRow, ValMetrics};
use crate::protocol::mixing::Mixing;
use crate::protocol::score_shift::ScoreShift;
use crate::time::now;
use crate::train::views::pictures::Pictures;
use crate::weights::export::{Format, Notes};
use crate::weights::tflite::About;
use crate::weights::{WeightsError, safetensors, tflite};

/// What [`write()`] needs to make the artifacts.
#[derive(Debug)]
pub struct ArtifactSources<'a> {
    /// The job's spec.
    pub spec: &'a JobSpec,
    /// The data set's pictures.
    pub pictures: &'a Pictures,
    /// One row per epoch, including the base model's.
    pub rows: &'a [MetricsRow],
    /// How much of the base model `best` contains.
    pub mixing: &'a Mixing,
    /// How the scores of `best` were shifted; `None` if the job does not shift scores.
    pub score_shift: Option<&'a ScoreShift>,
    /// The metrics of `best`.
    pub result: &'a ValMetrics,
    /// The result: the best epoch's weights, mixed with the base model's, with shifted scores.
    pub best: &'a Weights,
    /// The best epoch's weights alone.
    pub unmixed: &'a Weights,
    /// The last epoch's weights.
    pub last: &'a Weights,
}

/// `card.json`: where a model comes from and how good it is.
#[derive(Debug, Serialize)]
struct Card<'a> {
    format_version: u32,
    name: &'a str,
    job_id: &'a str,
    created_at: String,
    blazetune_version: &'a str,
    network: &'a str,
    base_weights: Base,
    dataset: serde_json::Value,
    params: &'a crate::protocol::train_spec::TrainSpec,
    /// The recommended `min_detection_confidence` for `MediaPipe`'s `FaceDetector`.
    recommended_threshold: Option<f64>,
    advice: Advice,
    baseline: Option<&'a MetricsRow>,
    /// The metrics of `best.*`.
    result: &'a ValMetrics,
    #[serde(rename = "retention")]
    mixing: &'a Mixing,
    /// How the scores of `best.*` were shifted; those of `last.*` and the unmixed weights were not.
    score_shift: Option<&'a ScoreShift>,
    /// The best epoch's row, measured before its weights were mixed with the base model.
    best: Option<&'a MetricsRow>,
    last: Option<&'a MetricsRow>,
    files: &'a [Artifact],
}

/// The base model's weights file.
#[derive(Debug, Serialize)]
struct Base {
    file: String,
    sha256: String,
    /// `None` if only the user knows it.
    licence: Option<&'static str>,
}

/// Writes `best.*`, `last.*`, the unmixed weights and `card.json` to the job's `artifacts/`.
///
/// # Errors
///
/// [`RunError`] if a file cannot be read, written or exported.
pub fn write(dir: &JobDir, content: &ArtifactSources<'_>) -> Result<Vec<Artifact>, RunError> {
    let folder = dir.artifacts();
    std::fs::create_dir_all(&folder)?;
    let row = |wanted: &dyn Fn(&&MetricsRow) -> bool| content.rows.iter().rev().find(wanted);
    let baseline = row(&|row| row.epoch == 0);
    let best = row(&|row| row.is_best);
    let last = row(&|row| row.epoch > 0);
    let mut files = Vec::new();
    let metadata = |val: Option<&ValMetrics>, shift: Option<&ScoreShift>| {
        BTreeMap::from([
            ("name".to_owned(), content.spec.name.clone()),
            ("job_id".to_owned(), content.spec.job_id.clone()),
            ("params".to_owned(), json!(content.spec.params).to_string()),
            ("metrics".to_owned(), json!(val).to_string()),
            ("score_shift".to_owned(), json!(shift).to_string()),
        ])
    };
    let (result, shift) = (Some(content.result), content.score_shift);
    let about = about(&content.spec.name, result, shift);
    let best_metadata = metadata(result, shift);
    files.extend(write_formats(&folder, "best", content.best, best_metadata, about)?);
    let last_metadata = metadata(last.map(|row| &row.val), None);
    files.extend(write_formats(&folder, "last", content.last, last_metadata, None)?);
    files.push(write_unmixed(&folder, content.unmixed)?);
    let card = Card {
        format_version: 1,
        name: &content.spec.name,
        job_id: &content.spec.job_id,
        created_at: now(),
        blazetune_version: env!("CARGO_PKG_VERSION"),
        network: content.best.layout().title,
        base_weights: base(content)?,
        dataset: dataset(&content.spec.dataset_dir)?,
        params: &content.spec.params,
        recommended_threshold: ScoreShift::recommended(shift, content.result.best_threshold),
        advice: Advice::new(
            content.best.layout().variant,
            baseline.map(|row| &row.val),
            content.result,
            shift,
            content.pictures,
        ),
        baseline,
        result: content.result,
        mixing: content.mixing,
        score_shift: shift,
        best,
        last,
        files: &files,
    };
    let text = serde_json::to_vec_pretty(&card).map_err(|error| RunError::Export(error.into()))?;
    let card = artifact(&folder, "card.json", &text)?;
    files.push(card);
    Ok(files)
}

fn base(content: &ArtifactSources<'_>) -> std::io::Result<Base> {
    match (content.best.layout().variant, &content.spec.init_file) {
        (Variant::Back, Some(path)) => Ok(Base {
            file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            sha256: hash(&std::fs::read(path)?),
            licence: None,
        }),
        _ => Ok(Base {
            file: "face_detection_short_range.tflite".to_owned(),
            sha256: hash(tflite::base()),
            licence: Some("Apache-2.0, Google"),
        }),
    }
}

/// Describes weights in their `.tflite` if their scores were shifted.
pub fn about(name: &str, result: Option<&ValMetrics>, shift: Option<&ScoreShift>) -> Option<About> {
    let logits = shift.map(|shift| shift.logits).filter(|logits| *logits != 0.0)?;
    let best = result.and_then(|result| result.best_threshold);
    let threshold = ScoreShift::recommended(shift, best).map(|threshold| threshold as f32);
    Some(About::exported(name, threshold, logits))
}

/// Writes the weights in every format that the network supports, with `metadata` in the formats that can hold it.
///
/// * `about`: replaces `MediaPipe`'s metadata in the `.tflite`. `None` keeps it, so that unchanged weights give
///   `MediaPipe`'s own file.
///
/// # Errors
///
/// [`RunError`] if a file cannot be written or a format cannot hold the weights.
pub fn write_formats(
    folder: &Path,
    stem: &str,
    weights: &Weights,
    mut metadata: BTreeMap<String, String>,
    about: Option<About>,
) -> Result<Vec<Artifact>, RunError> {
    metadata.insert("blazetune_version".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let is_plain = about.is_none();
    let notes = Notes { texts: metadata, about: about.unwrap_or_default() };
    let write = |format: Format| {
        let bytes = match format {
            Format::Tflite if is_plain => {
                tflite::write(tflite::base(), weights).map_err(WeightsError::from)
            }
            _ => format.write(weights, &notes),
        };
        let name = format!("{stem}.{}", format.ending());
        Ok(artifact(folder, &name, &bytes.map_err(export)?)?)
    };
    let fits = |format: &Format| format.fits(weights.layout().variant);
    Format::DELIVERED.into_iter().filter(fits).map(write).collect()
}

/// Writes the weights that later mixes start from.
///
/// # Errors
///
/// [`RunError`] if the file cannot be written.
pub fn write_unmixed(folder: &Path, weights: &Weights) -> Result<Artifact, RunError> {
    let bytes = safetensors::write(weights, &BTreeMap::new()).map_err(export)?;
    Ok(artifact(folder, UNMIXED, &bytes)?)
}

fn export(error: WeightsError) -> RunError {
    RunError::Export(error.into())
}

fn dataset(dir: &Path) -> Result<serde_json::Value, RunError> {
    let dataset = ImportedDataset::open(dir).map_err(|error| RunError::Data(error.into()))?;
    let summary = dataset.manifest.summary();
    Ok(json!({
        "content_hash": dataset.manifest.content_hash,
        "images": summary.images,
        "faces": summary.faces,
        "splits": summary.splits,
    }))
}

/// Writes an artifact and returns its description.
pub(super) fn artifact(folder: &Path, name: &str, bytes: &[u8]) -> std::io::Result<Artifact> {
    disk::write(&folder.join(name), bytes)?;
    Ok(described(name, bytes))
}

/// Returns the description of an artifact that already exists.
///
/// # Errors
///
/// Any file system error.
pub fn existing(folder: &Path, name: &str) -> std::io::Result<Artifact> {
    Ok(described(name, &std::fs::read(folder.join(name))?))
}

fn described(name: &str, bytes: &[u8]) -> Artifact {
    Artifact { name: name.to_owned(), size_bytes: bytes.len() as u64, sha256: hash(bytes) }
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
