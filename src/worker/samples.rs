//! Sample detections on a few fixed validation pictures, before and after training.

use crate::eval::suppression::Detection;
use crate::geometry::{INPUT_SIZE, Rect};
use crate::protocol::events::{SamplePicture, ScoredBox};
use crate::train::views::pictures::{Entry, Pictures};

/// Number of sample pictures.
const PICTURES: usize = 8;
/// Lowest score of a detection that is shown.
const MIN_SCORE: f32 = 0.1;
/// Pictures with more faces than this are too crowded to be samples.
const MANY_FACES: usize = 40;

/// Returns the sample pictures with the detections of the base model and the fine-tuned model.
///
/// * `baseline`, `tuned`: detections on every validation picture, in the order of `Pictures::val`.
pub fn pictures(
    pictures: &Pictures,
    baseline: &[Vec<Detection>],
    tuned: &[Vec<Detection>],
) -> Vec<SamplePicture> {
    let sample = |at: usize| {
        let index = pictures.val[at];
        let entry = &pictures.entries[index];
        SamplePicture {
            index,
            name: entry.name.clone(),
            width: entry.width,
            height: entry.height,
            ground_truth: entry
                .source
                .faces
                .iter()
                .map(|face| entry.letterbox.to_picture(face))
                .collect(),
            baseline: boxes(entry, &baseline[at]),
            tuned: boxes(entry, &tuned[at]),
        }
    };
    chosen(pictures).into_iter().map(sample).collect()
}

/// Chooses pictures, evenly spread over the validation pictures that are not crowded and have a face large enough to
/// see. If there are none, chooses from all validation pictures.
fn chosen(pictures: &Pictures) -> Vec<usize> {
    let visible = |face: &Rect| face.height() * INPUT_SIZE as f32 >= 6.0;
    let good = |&at: &usize| {
        let faces = &pictures.entries[pictures.val[at]].source.faces;
        faces.len() <= MANY_FACES && faces.iter().any(visible)
    };
    let mut candidates: Vec<usize> = (0..pictures.val.len()).filter(good).collect();
    if candidates.is_empty() {
        candidates = (0..pictures.val.len()).collect();
    }
    let count = candidates.len().min(PICTURES);
    (0..count).map(|number| candidates[number * candidates.len() / count]).collect()
}

fn boxes(entry: &Entry, detections: &[Detection]) -> Vec<ScoredBox> {
    let shown = detections.iter().filter(|face| face.score >= MIN_SCORE);
    shown
        .map(|face| ScoredBox { rect: entry.letterbox.to_picture(&face.rect), score: face.score })
        .collect()
}
