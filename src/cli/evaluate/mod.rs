//! `blazetune evaluate`: evaluates a model on a data set, alone or compared with another.

mod dataset;
mod folder;
mod table;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use blazetune::data::ImportedDataset;
use blazetune::model::device::Device;
use blazetune::model::tensors::Weights;
use blazetune::protocol::evaluate_spec::{MEDIAPIPE, SplitChoice};
use blazetune::train::evaluation::evaluate;
use blazetune::train::views::pictures::Pictures;
use blazetune::weights::tflite;
use blazetune::worker::report::ReportSources;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::model;

/// Evaluates a model on a data set: average precision by overlap, face size and folder, the best
/// threshold, calibration, and the worst pictures.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Weights (.tflite, .safetensors or .pth), or "mediapipe" for MediaPipe's model.
    #[arg(long, value_name = "FILE|mediapipe")]
    model: PathBuf,
    /// A second model to compare with the first.
    #[arg(long, value_name = "FILE|mediapipe")]
    compare: Option<PathBuf>,
    /// A data set: a zip, tar or tar.gz as you would upload it, a folder with the same content, or
    /// the folder of a data set that a server has imported.
    #[arg(long, value_name = "PATH")]
    dataset: PathBuf,
    /// Which of the data set's pictures to evaluate on.
    #[arg(long, value_parser = splits(), default_value_t = SplitChoice::Val)]
    split: SplitChoice,
    /// Output folder for report.json, the detections and ground truth in COCO's format, and the
    /// worst pictures.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

#[expect(clippy::print_stdout, reason = "this is the command's output")]
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // Load the weights before the slow import, so that a bad file is reported at once.
    let names = std::iter::once(&args.model).chain(&args.compare);
    let weights = names.map(|name| weights(name).map(|weights| (name, weights)));
    let weights = weights.collect::<anyhow::Result<Vec<_>>>()?;
    if let Some(out) = &args.out {
        std::fs::create_dir_all(out)
            .with_context(|| format!("cannot create the folder {}", out.display()))?;
    }
    let place = dataset::open(&args.dataset)?;
    let pictures = pictures(&place, args)?;

    let name = |path: &Path| path.display().to_string();
    let models = weights.into_iter().map(|(path, weights)| (name(path), weights)).collect();
    let go_on = &mut |_| ControlFlow::Continue(());
    let evaluations = evaluate(models, &pictures, Device::Cpu, go_on)?.unwrap_or_default();
    let dataset_name = name(&args.dataset);
    println!("{}", table::table(&dataset_name, args.split, &evaluations));
    if let Some(out) = &args.out {
        let content = ReportSources {
            dataset_name: &dataset_name,
            split: args.split,
            dataset: &ImportedDataset::open(place.dir())?,
            pictures: &pictures,
            evaluations: &evaluations,
        };
        folder::write(out, &content)
            .with_context(|| format!("cannot write to {}", out.display()))?;
        println!("\nReport written to {}", out.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn splits() -> impl TypedValueParser<Value = SplitChoice> {
    PossibleValuesParser::new(SplitChoice::ALL.map(SplitChoice::name))
        .try_map(|name| name.parse::<SplitChoice>())
}

fn weights(name: &Path) -> anyhow::Result<Weights> {
    if name == Path::new(MEDIAPIPE) {
        return Ok(tflite::mediapipe().clone());
    }
    ensure!(
        name.exists(),
        "{} does not exist; pass weights (.tflite, .safetensors or .pth), or \"{MEDIAPIPE}\" for \
         MediaPipe's model",
        name.display()
    );
    model::load(name)
}

/// Returns the data set's pictures, with those to evaluate on in `val`.
fn pictures(place: &dataset::Place, args: &Args) -> anyhow::Result<Pictures> {
    let mut pictures = Pictures::open(place.dir())?;
    pictures.select(args.split);
    let name = args.dataset.display();
    ensure!(!pictures.val.is_empty(), "{name} has no {} pictures; try --split all", args.split);
    Ok(pictures)
}
