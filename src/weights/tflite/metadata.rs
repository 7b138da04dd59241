//! Writes the metadata in a `.tflite`. `MediaPipe` Tasks needs the input's normalisation; the rest is for people.
//!
//! Source: `MediaPipe`'s `metadata_schema.fbs`.

use super::TfliteError;
use super::build::{FlatValue, NewTable};
use super::constants::field;
use super::flatbuffer::{self, Damaged};

/// A description of the model for an exported file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct About {
    /// The model's name.
    pub name: String,
    /// A sentence about the model.
    pub description: String,
    /// A version, such as Blazetune's.
    pub version: String,
    /// The recommended `min_detection_confidence`, 0..1.
    pub threshold: Option<f32>,
}

impl About {
    /// Describes a model that Blazetune exports.
    ///
    /// * `threshold`: the recommended `min_detection_confidence`.
    /// * `score_shift`: what was added to every logit after training.
    pub fn exported(name: &str, threshold: Option<f32>, score_shift: f64) -> Self {
        let description = if score_shift == 0.0 {
            "BlazeFace, exported by Blazetune".to_owned()
        } else {
            format!("BlazeFace, exported by Blazetune; all logits shifted by {score_shift:+.2}")
        };
        let (name, version) = (name.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        Self { name, description, version, threshold }
    }
}

/// Name of the metadata entry in a model.
pub(super) const NAME: &str = "TFLITE_METADATA";
const IDENTIFIER: &[u8; 4] = b"M001";
/// The first version of the metadata parser that supports every field used here.
const MIN_PARSER_VERSION: &str = "1.0.0";
const LICENCE: &str = "Apache-2.0 (the weights it was made from are Google's)";

/// Members of the schema's unions.
mod union {
    pub(super) const FEATURE: u8 = 1;
    pub(super) const IMAGE: u8 = 2;
    pub(super) const NORMALISATION: u8 = 1;
    pub(super) const THRESHOLD: u8 = 3;
}

/// Encodes the metadata.
pub(super) fn bytes(about: &About) -> Vec<u8> {
    const RGB: u8 = 1;
    let of_kind = |kind: u8, value: NewTable| {
        NewTable::default().with(0, FlatValue::Byte(kind)).with(1, FlatValue::NewTable(value))
    };
    let tensor = |name: &str, description: &str, content: NewTable, units: Vec<NewTable>| {
        let tensor = NewTable::default().text(0, name).text(1, description);
        let tensor = tensor.with(3, FlatValue::NewTable(content));
        if units.is_empty() { tensor } else { tensor.with(4, FlatValue::Tables(units)) }
    };
    let half = || FlatValue::Floats(vec![127.5]);
    let normalisation = NewTable::default().with(0, half()).with(1, half());
    let image = of_kind(union::IMAGE, NewTable::default().with(0, FlatValue::Byte(RGB)));
    let input = tensor(
        "image",
        "Input image to be detected",
        image,
        vec![of_kind(union::NORMALISATION, normalisation)],
    );
    let feature = || of_kind(union::FEATURE, NewTable::default());
    let threshold = about.threshold.map(|threshold| {
        of_kind(union::THRESHOLD, NewTable::default().with(0, FlatValue::Float(threshold)))
    });
    let outputs = vec![
        tensor("raw boxes/keypoints", "Undecoded boxes and keypoints", feature(), vec![]),
        tensor("scores", "Logits of the boxes", feature(), threshold.into_iter().collect()),
    ];
    let graph = NewTable::default()
        .with(2, FlatValue::Tables(vec![input]))
        .with(3, FlatValue::Tables(outputs));
    NewTable::default()
        .text(0, &about.name)
        .text(1, &about.description)
        .text(2, &about.version)
        .with(3, FlatValue::Tables(vec![graph]))
        .text(5, LICENCE)
        .text(7, MIN_PARSER_VERSION)
        .finish(*IDENTIFIER)
}

/// Returns a copy of a model with its metadata replaced. The new metadata is appended, so nothing else moves.
pub(super) fn replace(model: &[u8], about: &About) -> Result<Vec<u8>, TfliteError> {
    let root = flatbuffer::Table::root(model)?;
    let is_ours = |entry: &&flatbuffer::Table<'_>| entry.text(0).is_ok_and(|name| name == NAME);
    let entries = root.tables(field::MODEL_METADATA)?;
    let entry = entries.iter().find(is_ours);
    let entry = entry.ok_or_else(|| TfliteError::Missing(NAME.to_owned()))?;
    let buffer = entry.u32(1)? as usize;
    let buffer = *root.tables(field::MODEL_BUFFERS)?.get(buffer).ok_or(Damaged(buffer))?;
    let reference = buffer.place(field::BUFFER_DATA)?.ok_or(Damaged(0))?;
    let metadata = bytes(about);
    let mut file = model.to_vec();
    file.resize((file.len() + 4).next_multiple_of(16) - 4, 0);
    let distance = (file.len() - reference) as u32;
    file[reference..reference + 4].copy_from_slice(&distance.to_le_bytes());
    file.extend((metadata.len() as u32).to_le_bytes());
    file.extend(metadata);
    Ok(file)
}
