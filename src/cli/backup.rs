//! `blazetune backup`: copies the database, even while a server is running.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use blazetune::config::{Config, Flags};
use blazetune::store;

use super::serve::environment;

/// Copies the database, even while a server is running. The copy contains no other files: afterwards, also
/// copy the folders `datasets`, `jobs` and `models` from the data folder.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file to write; it must not exist yet.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The data folder; defaults to the configured one.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Copies the database.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let flags = Flags { data_dir: args.data, listen: None };
    let config = Config::load(None, environment(), flags)?;
    let database = config.storage.data_dir.join(store::folder::DATABASE);
    let runtime = tokio::runtime::Runtime::new()?;
    let copied = runtime.block_on(store::backup(&database, &args.out));
    copied.with_context(|| format!("cannot back up {}", database.display()))?;
    Ok(ExitCode::SUCCESS)
}
