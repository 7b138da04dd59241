//! `blazetune evaluate`: how good a model is on a data set, beside another where asked.

mod dataset;
mod files;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use blazetune::model::tensors::Weights;
use blazetune::train::evaluation::{Evaluation, evaluate};
use blazetune::train::pictures::Pictures;
use blazetune::weights::tflite;
use clap::ValueEnum;

use super::model;

/// Measures a model on a data set: average precision by overlap, face size and folder, the best
/// threshold, calibration, and the worst pictures.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Weights (.tflite, .safetensors or .pth), or "mediapipe" for MediaPipe's own.
    #[arg(long, value_name = "FILE|mediapipe")]
    model: PathBuf,
    /// A second model, to be shown beside the first.
    #[arg(long, value_name = "FILE|mediapipe")]
    compare: Option<PathBuf>,
    /// A data set: a zip, tar or tar.gz as the server takes it, a folder with the same content, or
    /// the folder of one that a server has imported.
    #[arg(long, value_name = "PATH")]
    dataset: PathBuf,
    /// Which of its pictures to measure on.
    #[arg(long, value_enum, default_value_t = Part::Val)]
    split: Part,
    /// Folder for report.json, the detections and ground truth in COCO's format, and the worst
    /// pictures.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Pictures of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Val,
    Train,
    All,
}

/// A model that was measured.
struct Measured {
    /// As the command line has it.
    name: String,
    evaluation: Evaluation,
}

/// In place of a file: the weights in this binary.
const MEDIAPIPE: &str = "mediapipe";

#[expect(clippy::print_stdout, reason = "what the user asked for")]
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // Before anything that takes long.
    let names = std::iter::once(&args.model).chain(&args.compare);
    let weights = names.map(|name| weights(name).map(|weights| (name, weights)));
    let weights = weights.collect::<anyhow::Result<Vec<_>>>()?;
    if let Some(out) = &args.out {
        std::fs::create_dir_all(out)
            .with_context(|| format!("cannot make the folder {}", out.display()))?;
    }
    let place = dataset::open(&args.dataset)?;
    let pictures = pictures(&place, args)?;

    let mut models: Vec<Measured> = Vec::new();
    for (name, weights) in weights {
        let reference = models.first().map(|first| &first.evaluation);
        let evaluation = evaluate(&weights, &pictures, reference);
        models.push(Measured { name: name.display().to_string(), evaluation });
    }
    println!("{}", table::table(&args.dataset.display().to_string(), args.split, &models));
    if let Some(out) = &args.out {
        files::write(out, place.dir(), &pictures, args, &models)
            .with_context(|| format!("cannot write to {}", out.display()))?;
        println!("\nwritten to {}", out.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn weights(name: &Path) -> anyhow::Result<Weights> {
    if name == Path::new(MEDIAPIPE) {
        return Ok(tflite::mediapipe().clone());
    }
    ensure!(
        name.exists(),
        "there is no file {}; give weights (.tflite, .safetensors or .pth), or \"{MEDIAPIPE}\" for \
         MediaPipe's own",
        name.display()
    );
    model::load(name)
}

/// With the pictures to be measured on as `val`.
fn pictures(place: &dataset::Place, args: &Args) -> anyhow::Result<Pictures> {
    let mut pictures = Pictures::open(place.dir())?;
    let name = args.dataset.display();
    pictures.val = match args.split {
        Part::Val => pictures.val,
        Part::Train => std::mem::take(&mut pictures.train),
        Part::All => (0..pictures.entries.len()).collect(),
    };
    ensure!(!pictures.val.is_empty(), "{name} has no {} pictures; try --split all", args.split);
    Ok(pictures)
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Val => "val",
            Self::Train => "train",
            Self::All => "all",
        })
    }
}
