//! `blazetune worker <job dir>`: runs one job on behalf of the server.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use blazetune::protocol::cause::Cause;
use blazetune::protocol::folder::JobDir;
use blazetune::worker::run;

/// Runs the job in a folder that contains `spec.json`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The job's folder.
    dir: PathBuf,
}

/// Returns 0 if the job's end was reported, whatever the outcome.
pub(crate) fn run(args: Args) -> ExitCode {
    let dir = JobDir::new(args.dir);
    if let Err(error) = log_to(&dir) {
        say(&error); // The server keeps standard error.
        let io = error.chain().find_map(|cause| cause.downcast_ref());
        return ExitCode::from(io.map_or(1, |io| Cause::of_io(io).exit_code()));
    }
    match run::run(&dir) {
        Ok(_) => ExitCode::SUCCESS,
        Err(cause) => ExitCode::from(cause.exit_code()),
    }
}

#[expect(clippy::print_stderr, reason = "the log cannot be opened")]
fn say(error: &anyhow::Error) {
    eprintln!("{error:#}");
}

/// Writes the log to `log.jsonl` in the job's folder.
fn log_to(dir: &JobDir) -> anyhow::Result<()> {
    let path = dir.log_file();
    let file = OpenOptions::new().create(true).append(true).open(&path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    let filter =
        EnvFilter::try_from_env("BLAZETUNE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .with_writer(file)
        .init();
    Ok(())
}
