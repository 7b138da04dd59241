//! `blazetune export`: writes a model in another format.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use blazetune::disk;
use blazetune::weights::checkpoint;
use blazetune::weights::export::{Format, Notes};
use blazetune::weights::pth;
use blazetune::weights::tflite::About;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::model;

/// Writes a model's weights in another format.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Weights in any format, or "mediapipe" for MediaPipe's model.
    #[arg(value_name = "FILE|mediapipe")]
    model: PathBuf,
    /// Format to write. "bn.pth" keeps BatchNorm and requires a job's checkpoint.
    #[arg(long, value_parser = formats())]
    format: Wanted,
    /// File to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Name of the model to store in the file; defaults to the input file's name.
    #[arg(long)]
    name: Option<String>,
    /// Recommended minimum score to store in the file, from 0 to 1.
    #[arg(long)]
    threshold: Option<f32>,
    /// Number to add to every logit. ln((1 - t) / t) turns a score of t into 0.5.
    #[arg(long, value_name = "LOGITS", default_value_t = 0.0, allow_hyphen_values = true)]
    score_shift: f32,
}

#[derive(Debug, Clone, Copy)]
enum Wanted {
    Format(Format),
    Unfolded,
}

const UNFOLDED: &str = "bn.pth";

fn formats() -> impl TypedValueParser<Value = Wanted> {
    let names = Format::ALL.map(Format::ending).into_iter().chain([UNFOLDED]);
    PossibleValuesParser::new(names).map(|name| {
        let format = Format::ALL.into_iter().find(|format| format.ending() == name);
        format.map_or(Wanted::Unfolded, Wanted::Format)
    })
}

#[expect(clippy::print_stdout, reason = "this is the command's output")]
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let bytes = match args.format {
        Wanted::Unfolded => {
            let arrays = checkpoint::unfolded(&model::read(&args.model)?);
            let arrays = arrays.with_context(|| {
                format!(
                    "{} is not a job's checkpoint, and only checkpoints have BatchNorm",
                    args.model.display()
                )
            })?;
            pth::write_unfolded(&arrays.context("this job trained without BatchNorm")?)?
        }
        Wanted::Format(format) => {
            let weights = model::named(&args.model)?.with_scores_shifted(args.score_shift);
            format.write(&weights, &notes(args))?
        }
    };
    let place = args.out.display();
    disk::write(&args.out, &bytes).with_context(|| format!("cannot write {place}"))?;
    println!("{place}: {} bytes", bytes.len());
    Ok(ExitCode::SUCCESS)
}

fn notes(args: &Args) -> Notes {
    let stem = args.model.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = args.name.clone().unwrap_or(stem);
    let about = About::exported(&name, args.threshold, args.score_shift.into());
    let texts =
        [("name".to_owned(), name), ("blazetune_version".to_owned(), about.version.clone())];
    Notes { about, texts: texts.into() }
}
