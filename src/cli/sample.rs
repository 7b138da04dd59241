//! `blazetune sample`: writes the drawn sample set as a zip.

use std::path::PathBuf;
use std::process::ExitCode;

use blazetune::sample::{self, SampleSpec};
use indicatif::{ProgressBar, ProgressStyle};

/// Draws a data set of cartoon people that is ready to upload.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Zip file to write; an existing file is replaced.
    #[arg(long, value_name = "FILE", default_value = "sample.zip")]
    out: PathBuf,
    /// Number of pictures to draw.
    #[arg(long, default_value_t = SampleSpec::default().images)]
    images: u32,
    /// Random seed; the same seed always draws the same pictures.
    #[arg(long, default_value_t = SampleSpec::default().seed)]
    seed: u64,
}

#[expect(clippy::print_stdout, reason = "this is the command's output")]
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let bar = ProgressBar::new(u64::from(args.images)).with_style(
        ProgressStyle::with_template("drawing [{bar:30}] {pos}/{len}")?.progress_chars("=> "),
    );
    let spec = SampleSpec { images: args.images, seed: args.seed };
    let summary = sample::write(&args.out, &spec, &mut |done| bar.set_position(done as u64))?;
    bar.finish_and_clear();
    println!(
        "{}: {} pictures ({} for validation, {} without a face), {} faces, {:.1} MB",
        args.out.display(),
        summary.images,
        summary.val_images,
        summary.negatives,
        summary.faces,
        summary.size_bytes as f64 / 1e6
    );
    Ok(ExitCode::SUCCESS)
}
