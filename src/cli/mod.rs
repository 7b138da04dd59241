//! The command line: one file per subcommand.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod backup;
mod demo;
mod detect;
mod devices;
mod evaluate;
mod export;
mod import;
mod model;
mod sample;
mod schema;
mod serve;
mod worker;

#[derive(Debug, Parser)]
#[command(version, about = "Fine-tunes MediaPipe's BlazeFace on your own pictures")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Backup(backup::Args),
    Demo(demo::Args),
    Detect(detect::Args),
    Evaluate(evaluate::Args),
    Export(export::Args),
    Import(import::Args),
    Sample(sample::Args),
    Schema(schema::Args),
    Serve(serve::Args),
    Worker(worker::Args),
}

/// Parses the arguments and runs the subcommand.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Backup(args) => backup::run(args),
        Command::Demo(args) => demo::run(&args),
        Command::Detect(args) => detect::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Sample(args) => sample::run(&args),
        Command::Schema(_) => schema::run().map(|()| ExitCode::SUCCESS),
        Command::Serve(args) => serve::serve(args),
        Command::Worker(args) => Ok(worker::run(args)),
    }
}
