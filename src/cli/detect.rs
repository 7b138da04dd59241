//! `blazetune detect`: finds faces in pictures and prints them as JSON.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use blazetune::data::read_upright;
use blazetune::eval::detect::Detector;
use blazetune::weights::tflite;
use serde_json::json;

use super::model;

/// Finds faces in pictures and prints one line of JSON per picture.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Weights (.tflite, .safetensors or .pth); defaults to MediaPipe's model.
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Minimum score of the faces to print.
    #[arg(long, default_value_t = 0.5)]
    min_score: f32,
    /// Pictures to search for faces.
    #[arg(required = true)]
    pictures: Vec<PathBuf>,
}

/// Maximum size of a picture.
const MEGAPIXELS: u32 = 100;

#[expect(clippy::print_stdout, reason = "this is the command's output")]
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let detector = match &args.model {
        None => Detector::new(tflite::mediapipe())?,
        Some(path) => Detector::new(&model::load(path)?)?,
    };
    for path in &args.pictures {
        let picture = read_upright(&model::read(path)?, MEGAPIXELS)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let faces = detector.detect(&picture, args.min_score);
        let (width, height) = picture.dimensions();
        println!("{}", json!({"picture": path, "width": width, "height": height, "faces": faces}));
    }
    Ok(ExitCode::SUCCESS)
}
