//! The command line: one file a subcommand.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod cuda;
mod detect;
mod sample;
mod worker;

#[derive(Debug, Parser)]
#[command(version, about = "Fine-tunes MediaPipe's BlazeFace on your own pictures")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Detect(detect::Args),
    Sample(sample::Args),
    Worker(worker::Args),
}

/// Reads the arguments and does what they say.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Detect(args) => detect::run(&args),
        Command::Sample(args) => sample::run(&args),
        Command::Worker(args) => worker::run(args),
    }
}
