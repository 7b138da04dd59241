//! `blazetune worker <job dir>`: one job, as the server starts it.

use std::fs::OpenOptions;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use tracing::error;
use tracing_subscriber::EnvFilter;

use blazetune::protocol::cause::Cause;
use blazetune::protocol::events::{Body, Finished};
use blazetune::protocol::folder::JobDir;
use blazetune::worker::run;

/// Does the job in a folder that holds `spec.json`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The job's folder.
    dir: PathBuf,
}

/// 0 when the job reported its end, however it ended.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let dir = JobDir::new(args.dir);
    if let Err(error) = log_to(&dir) {
        say(&error); // On standard error, which the server keeps.
        let io = error.chain().find_map(|cause| cause.downcast_ref());
        return Ok(ExitCode::from(io.map_or(1, |io| Cause::of_io(io).exit_code())));
    }
    blazetune::train::device::find_gpus();
    let ended = catch_unwind(AssertUnwindSafe(|| run::run(&dir)));
    match ended {
        Ok(Ok(_)) => Ok(ExitCode::SUCCESS),
        Ok(Err(cause)) => Ok(ExitCode::from(cause.exit_code())),
        Err(panic) => {
            let text = panic_text(&*panic);
            error!("the job panicked: {text}");
            report_failure(&dir, &text)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[expect(clippy::print_stderr, reason = "there is no log to say it in")]
fn say(error: &anyhow::Error) {
    eprintln!("{error:#}");
}

/// The log goes to `log.jsonl` in the job's folder.
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

/// libtorch's own errors arrive as panics: out of memory, above all.
fn report_failure(dir: &JobDir, text: &str) -> anyhow::Result<()> {
    let cause = Cause::of_words(text).unwrap_or(Cause::Internal);
    let advice = match cause {
        Cause::OutOfMemory => "; try a smaller batch_size",
        _ => "",
    };
    let first_line = text.lines().next().unwrap_or_default();
    let error = format!("the job failed inside libtorch: {first_line}{advice}");
    Ok(dir.events()?.append(Body::Finished(Finished::failed(cause, error)))?)
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown panic").to_owned()
}
