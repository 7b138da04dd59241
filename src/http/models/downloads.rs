//! A model's downloads: its files, and those that are made on request.

use std::sync::OnceLock;

use crate::http::conditional::sha256;
use crate::model::layout::Variant;
use crate::protocol::events::Artifact;
use crate::store::models::{Model, ModelKind};
use crate::weights;
use crate::weights::export::Format;

/// A model in every format, with its card.
pub(super) const BUNDLE: &str = "bundle.zip";
const BASE_FILE: &str = "face_detection_short_range.tflite";
/// Files to read weights from, best first.
const SOURCES: [Format; 3] = [Format::Safetensors, Format::Pth, Format::Tflite];
/// The last epoch with BatchNorm, of a job that trained with it.
pub(super) const UNFOLDED: &str = "last.bn.pth";
/// The start of the names of `MediaPipe`'s own files.
pub(super) const BASE_STEM: &str = "model";

/// Every file name of `GET /models/{id}/…`.
pub(super) fn of(model: &Model) -> Vec<String> {
    let mut names: Vec<String> = model.files.iter().map(|file| file.name.clone()).collect();
    for stem in ["best", "last", "model"] {
        for format in Format::ALL {
            let name = format!("{stem}.{}", format.ending());
            if format.fits(model.variant.0)
                && !names.contains(&name)
                && source(model, &name).is_some()
            {
                names.push(name);
            }
        }
    }
    if model.kind == ModelKind::Trained {
        names.push(UNFOLDED.to_owned());
    }
    names.push(BUNDLE.to_owned());
    names
}

/// Like [`of`], of `MediaPipe`'s own.
pub(super) fn of_base() -> Vec<String> {
    let names = Format::ALL.map(|format| format!("{BASE_STEM}.{}", format.ending()));
    [base_file().name].into_iter().chain(names).chain([BUNDLE.to_owned()]).collect()
}

/// The file that a file of this name can be made from, and its format.
pub(super) fn source<'a>(model: &'a Model, name: &str) -> Option<(&'a str, Format)> {
    let (stem, format) = Format::of_file(name)?;
    let listed = |source: &Format| {
        let wanted = format!("{stem}.{}", source.ending());
        model.files.iter().find(|file| file.name == wanted)
    };
    Some((&SOURCES.iter().find_map(listed)?.name, format))
}

/// What a bundle holds of each model: its best weights in every format that fits.
pub(super) fn bundled(model: &Model) -> Vec<(String, Format)> {
    let stem = if model.files.iter().any(|file| file.name.starts_with("best.")) {
        "best"
    } else {
        "model"
    };
    of_variant(stem, model.variant.0)
}

/// Like [`bundled`], of `MediaPipe`'s own.
pub(super) fn of_variant(stem: &str, variant: Variant) -> Vec<(String, Format)> {
    let fitting = Format::ALL.into_iter().filter(|format| format.fits(variant));
    fitting.map(|format| (format!("{stem}.{}", format.ending()), format)).collect()
}

pub(super) fn base_bytes() -> &'static [u8] {
    weights::tflite::base()
}

pub(super) fn base_file() -> Artifact {
    static SHA256: OnceLock<String> = OnceLock::new();
    let sha256 = SHA256.get_or_init(|| sha256(base_bytes())).clone();
    Artifact { name: BASE_FILE.to_owned(), size_bytes: base_bytes().len() as u64, sha256 }
}
