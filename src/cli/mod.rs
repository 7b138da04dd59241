//! The command line: one file a subcommand.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod cuda;
mod worker;

#[derive(Debug, Parser)]
#[command(version, about = "Fine-tunes MediaPipe's BlazeFace on your own pictures")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Worker(worker::Args),
}

/// Reads the arguments and does what they say.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Worker(args) => worker::run(args),
    }
}
