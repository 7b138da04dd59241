//! `blazetune serve`: runs the server.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use figment::Provider;
use figment::providers::Env;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

use super::devices;
use blazetune::config::{Config, Flags, Log, LogFormat};
use blazetune::http;
use blazetune::jobs;
use blazetune::store;
use blazetune::store::folder::Folder;

/// Serves the API and the dashboard, and runs jobs.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Configuration file; defaults to config.toml in the current folder, if it exists.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder for the database, data sets, jobs and models.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address to listen on; port 0 picks a free port.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
}

const CONFIG_FILE: &str = "config.toml";

/// Serves until told to stop.
pub(crate) fn serve(args: Args) -> anyhow::Result<ExitCode> {
    let here = Path::new(CONFIG_FILE);
    let file = args.config.or_else(|| here.is_file().then(|| here.to_owned()));
    let flags = Flags { data_dir: args.data, listen: args.listen };
    let config = Config::load(file.as_deref(), environment(), flags)?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(run(config, |address| say(&format!("listening on http://{address}"))))?;
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "scripts wait for this line, whatever the log level")]
fn say(text: &str) {
    println!("{text}");
}

/// Reads settings from environment variables: `BLAZETUNE__SECTION__KEY`.
pub(crate) fn environment() -> impl Provider {
    Env::prefixed("BLAZETUNE__").split("__")
}

/// Serves until `SIGINT` or `SIGTERM`; `ready` receives the address.
///
/// # Errors
///
/// Fails if the server cannot start, for example because the address or the data folder is already in use.
pub(crate) async fn run(
    config: Config,
    ready: impl FnOnce(SocketAddr) + Send + 'static,
) -> anyhow::Result<()> {
    log_to_stderr(&config.log)?;
    blazetune::train::device::find_gpus();
    let told = wait_to_be_told()?;
    let folder = Arc::new(Folder::open(&config.storage.data_dir)?);
    let listen = &config.server.listen;
    let listener = TcpListener::bind(listen).await;
    let listener = listener.with_context(|| {
        format!("cannot listen on {listen}; free it, or choose another address with --listen")
    })?;
    let address = listener.local_addr()?;
    let db = store::open(&folder.database()).await;
    let db = db.with_context(|| format!("cannot open {}", folder.database().display()))?;

    let grace = Duration::from_secs(config.server.shutdown_grace_s);
    let stop = CancellationToken::new();
    let jobs = jobs::Jobs::start(jobs::JobsSetup {
        db: db.clone(),
        folder: folder.clone(),
        config: config.clone(),
        program: worker()?,
        gpus: devices::gpus(),
    })
    .await?;
    let app = http::App::new(http::AppSetup {
        db: db.clone(),
        folder,
        jobs: jobs.clone(),
        config,
        devices: http::DevicesView(Arc::new(devices::all)),
        stop: stop.clone(),
    });
    ready(address);
    info!("listening on http://{address}");
    let mut server = tokio::spawn(http::serve(listener, http::router(app), stop.clone()));
    tokio::select! {
        ended = &mut server => ended??,
        () = told => {
            info!("stopping");
            stop.cancel();
            if let Ok(ended) = tokio::time::timeout(grace, &mut server).await {
                ended??;
            } else {
                warn!("some connections did not finish within {} s", grace.as_secs());
            }
        }
    }
    jobs.shut_down().await;
    db.close().await;
    Ok(())
}

/// Returns a future that completes on the first `SIGINT` or `SIGTERM`.
fn wait_to_be_told() -> anyhow::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Returns the command line that runs this binary as a worker.
fn worker() -> anyhow::Result<jobs::Program> {
    let path = std::env::current_exe().context("cannot find this program's executable")?;
    Ok(jobs::Program { path, args: vec!["worker".into()] })
}

fn log_to_stderr(log: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&log.filter);
    let filter = filter.with_context(|| format!("invalid log.filter {:?}", log.filter))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // If logging is already set up, this fails and the existing setup stays.
    let _ = match log.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    Ok(())
}
