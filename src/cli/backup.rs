//! `blazetune backup`: the database, while a server may be running.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use blazetune::config::{Config, Flags};
use blazetune::store;

use super::serve::environment;

/// Copies the database as it is now, while a server may be running. Data sets and the files of jobs are not in it:
/// copy the data folder's `datasets`, `jobs` and `models` too, after this.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file to write; it must not be there yet.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The data folder; the configured one by default.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Makes the copy.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let flags = Flags { data_dir: args.data, listen: None };
    let config = Config::load(None, environment(), flags)?;
    let database = config.storage.data_dir.join(store::folder::DATABASE);
    let runtime = tokio::runtime::Runtime::new()?;
    let copied = runtime.block_on(store::backup(&database, &args.out));
    copied.with_context(|| format!("cannot back up {}", database.display()))?;
    Ok(ExitCode::SUCCESS)
}
