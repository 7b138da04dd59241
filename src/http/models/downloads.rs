//! A model's downloads: its stored files, and those that are written on request.

use std::sync::OnceLock;

use crate::http::conditional::sha256;
use crate::model::layout::Variant;
use crate::protocol::events::Artifact;
use crate::store::models::{Model, ModelKind};
use crate::weights;
use crate::weights::export::Format;

/// The archive of a model in every format, with its card.
pub(super) const BUNDLE: &str = "bundle.zip";
const BASE_FILE: &str = "face_detection_short_range.tflite";
/// Formats to read weights from, in order of preference.
const SOURCES: [Format; 3] = [Format::Safetensors, Format::Pth, Format::Tflite];
/// The last epoch's weights with BatchNorm, for a model that was trained with it.
pub(super) const UNFOLDED: &str = "last.bn.pth";
/// The stem of the names of the `MediaPipe` model's files.
pub(super) const BASE_STEM: &str = "model";

/// Returns the name of every file that can be downloaded from `/models/{id}/…`.
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

/// Like [`of`], for the `MediaPipe` model.
pub(super) fn of_base() -> Vec<String> {
    let names = Format::ALL.map(|format| format!("{BASE_STEM}.{}", format.ending()));
    [base_file().name].into_iter().chain(names).chain([BUNDLE.to_owned()]).collect()
}

/// Returns the stored file from which the file `name` can be written, and the format of `name`.
pub(super) fn source<'a>(model: &'a Model, name: &str) -> Option<(&'a str, Format)> {
    let (stem, format) = Format::of_file(name)?;
    let listed = |source: &Format| {
        let wanted = format!("{stem}.{}", source.ending());
        model.files.iter().find(|file| file.name == wanted)
    };
    Some((&SOURCES.iter().find_map(listed)?.name, format))
}

/// Returns the files of a bundle: the model's best weights in every format that supports its network.
pub(super) fn bundled(model: &Model) -> Vec<(String, Format)> {
    let stem = if model.files.iter().any(|file| file.name.starts_with("best.")) {
        "best"
    } else {
        "model"
    };
    of_variant(stem, model.variant.0)
}

/// Returns the files of a bundle for this network variant, with names that start with `stem`.
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
