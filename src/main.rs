//! The `blazetune` command.

mod cli;

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    cli::run()
}
