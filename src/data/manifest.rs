//! A data set's `manifest.json`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::report::ImportReport;
use crate::geometry::{INPUT_SIZE, Keypoints, Letterbox, Rect};

/// What a picture is used for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Trained on.
    Train,
    /// Used for validation, including during training.
    Val,
    /// Never used in training, only for a final measurement.
    Test,
}

/// The smallest of WIDER FACE's three lists that a face is in: every easy face is also medium, and every medium face is
/// also hard.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Difficulty {
    /// The face is in all three lists.
    Easy,
    /// It is in two lists.
    Medium,
    /// It is only in the longest list.
    Hard,
}

/// Version of the formats of `manifest.json` and the cache.
pub(super) const FORMAT_VERSION: u32 = 1;

/// The whole data set, except its pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this file's format.
    pub format_version: u32,
    /// SHA-256 of names, bytes, labels and splits. The same content has the same hash.
    pub content_hash: String,
    /// The pictures, in the order of the cache.
    pub pictures: Vec<Picture>,
    /// The import's report.
    pub report: ImportReport,
}

/// One picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    /// Its path in the archive.
    pub name: String,
    /// What it is used for.
    pub split: Split,
    /// Width of the upright picture, in pixels of the original.
    pub width: u32,
    /// Height of the upright picture, in pixels of the original.
    pub height: u32,
    /// The position of the picture in its cached square.
    pub letterbox: Letterbox,
    /// The faces, as fractions of the picture.
    pub faces: Vec<Rect>,
    /// Regions that count neither as faces nor as background, as fractions of the picture. They are painted grey.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<Rect>,
    /// The keypoints of each face, as fractions of the picture; empty if none is labelled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keypoints: Vec<Keypoints>,
    /// The difficulty of each face, if known; empty if none is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub difficulties: Vec<Option<Difficulty>>,
}

/// Statistics of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DatasetSummary {
    /// Number of pictures.
    pub images: usize,
    /// Number of faces.
    pub faces: usize,
    /// Number of pictures without a face.
    pub negatives: usize,
    /// Counts by split.
    pub splits: Splits,
    /// Faces by their longer side in pixels of the network's 128-pixel input.
    pub face_sizes: Vec<FaceSizes>,
}

/// Counts by split.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Splits {
    /// Trained on.
    pub train: Counts,
    /// Measured on.
    pub val: Counts,
    /// Kept for a final measurement.
    #[serde(default)]
    pub test: Counts,
}

/// Numbers of pictures and faces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Number of pictures.
    pub images: usize,
    /// Number of faces.
    pub faces: usize,
}

/// One bar of the histogram of face sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaceSizes {
    /// Lower limit, in pixels of the network's input.
    pub from: u32,
    /// Upper limit, exclusive; `null` if there is none.
    pub to: Option<u32>,
    /// Number of faces.
    pub count: usize,
}

const SIZE_STEPS: [u32; 6] = [0, 3, 6, 12, 24, 48];

impl Manifest {
    /// Counts pictures and faces.
    pub fn summary(&self) -> DatasetSummary {
        let counts = |split| {
            let of_split = self.pictures.iter().filter(|picture| picture.split == split);
            of_split.fold(Counts::default(), |sum, picture| Counts {
                images: sum.images + 1,
                faces: sum.faces + picture.faces.len(),
            })
        };
        let [train, val, test] = [Split::Train, Split::Val, Split::Test].map(counts);
        DatasetSummary {
            images: self.pictures.len(),
            faces: train.faces + val.faces + test.faces,
            negatives: self.pictures.iter().filter(|picture| picture.faces.is_empty()).count(),
            splits: Splits { train, val, test },
            face_sizes: self.face_sizes(),
        }
    }

    fn face_sizes(&self) -> Vec<FaceSizes> {
        let ends = SIZE_STEPS.iter().skip(1).copied().map(Some).chain([None]);
        let mut bars: Vec<FaceSizes> = SIZE_STEPS
            .iter()
            .zip(ends)
            .map(|(&from, to)| FaceSizes { from, to, count: 0 })
            .collect();
        for picture in &self.pictures {
            let letterbox = Letterbox::exact(picture.width, picture.height, INPUT_SIZE as u32);
            for face in &picture.faces {
                let face = letterbox.to_square(face);
                let size = face.width().max(face.height()) * letterbox.size;
                let bar = bars.iter_mut().rev().find(|bar| size >= bar.from as f32);
                if let Some(bar) = bar {
                    bar.count += 1;
                }
            }
        }
        bars
    }
}

/// Returns the hash of a data set's content. `bytes` are the hashes of the pictures' files.
pub(super) fn content_hash(pictures: &[Picture], bytes: &[[u8; 32]]) -> String {
    let mut order: Vec<usize> = (0..pictures.len()).collect();
    order.sort_by(|&a, &b| pictures[a].name.cmp(&pictures[b].name));
    let mut hash = Sha256::new();
    for index in order {
        let picture = &pictures[index];
        hash.update((picture.name.len() as u64).to_le_bytes());
        hash.update(&picture.name);
        hash.update(bytes[index]);
        hash.update([picture.split as u8]);
        hash.update((picture.faces.len() as u64).to_le_bytes());
        for face in &picture.faces {
            for value in <[f32; 4]>::from(*face) {
                hash.update(value.to_le_bytes());
            }
        }
        for value in picture.ignored.iter().flat_map(|&place| <[f32; 4]>::from(place)) {
            hash.update(value.to_le_bytes());
        }
        for point in picture.keypoints.iter().flatten() {
            for value in point.unwrap_or([f32::NAN; 2]) {
                hash.update(value.to_le_bytes());
            }
        }
        for difficulty in &picture.difficulties {
            hash.update([difficulty.map_or(0, |known| 1 + known as u8)]);
        }
    }
    hex::encode(hash.finalize())
}
