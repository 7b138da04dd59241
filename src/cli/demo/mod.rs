//! `blazetune demo`: the whole workflow in one command, through the HTTP API that clients use.

mod client;
mod report;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use blazetune::config::{Config, Flags};
use blazetune::sample::{self, SampleSpec};
use blazetune::store::datasets::DatasetStatus;
use blazetune::store::jobs::JobState;
use tokio::sync::oneshot;

use crate::cli::serve;
use client::{Client, Dataset, Job};
use report::DemoReport;

/// Starts a server, fine-tunes on drawn pictures and shows what has improved.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Address to listen on; port 0 picks a free port.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Folder for the database, data sets and models.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Number of pictures to draw.
    #[arg(long, default_value_t = 400)]
    images: u32,
    /// Number of epochs to train.
    #[arg(long, default_value_t = 60)]
    epochs: u32,
    /// Exit when the job has ended instead of continuing to serve.
    #[arg(long)]
    exit: bool,
}

/// Serves until Ctrl-C or, with `--exit`, until the job has ended.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    tokio::runtime::Runtime::new()?.block_on(demo(args))?;
    Ok(ExitCode::SUCCESS)
}

async fn demo(args: &Args) -> anyhow::Result<()> {
    let config = config(args)?;
    let folder = config.storage.data_dir.join("demo");
    let (started, address) = oneshot::channel();
    let mut server = tokio::spawn(serve::run(config, move |address| {
        let _ = started.send(address); // The receiver is dropped only when the demo ends.
    }));
    let story = async {
        match address.await {
            Ok(address) => tell(args, address, &folder).await,
            Err(_) => std::future::pending().await, // The server has ended; `select!` below returns its error.
        }
    };
    tokio::select! {
        ended = &mut server => ended?,
        told = story => {
            told?;
            if args.exit { Ok(()) } else { server.await? }
        }
    }
}

fn config(args: &Args) -> anyhow::Result<Config> {
    let flags = Flags { data_dir: args.data.clone(), listen: args.listen.clone() };
    let mut config = Config::load(None, serve::environment(), flags)?;
    "warn,sqlx=error".clone_into(&mut config.log.filter); // Keeps the log out of the report.
    Ok(config)
}

/// Runs the workflow as any client could.
async fn tell(args: &Args, address: SocketAddr, folder: &Path) -> anyhow::Result<()> {
    let client = Client::new(address);
    let mut report = DemoReport::new(address);
    let dataset = match client.ready_dataset(&dataset_name(args.images)).await? {
        Some(dataset) => dataset,
        None => make_dataset(args.images, folder, &client).await?,
    };
    report.dataset(&dataset);

    let job = client.start_job(&dataset.id, args.epochs).await?;
    let job = follow(&job.id, &client, &report).await?;
    if job.state != JobState::Completed {
        let why = job.error.unwrap_or_else(|| "see its log for details".to_owned());
        bail!("the job ended in state {}: {why}", job.state.name());
    }

    let rows = client.metrics(&job.id).await?;
    report::before_and_after(&rows);
    let files = client.download_artifacts(&job.id, folder).await?;
    report::files(folder, &files);
    report.end(&job.id, args.exit);
    Ok(())
}

fn dataset_name(images: u32) -> String {
    format!("drawn sample, {images} pictures")
}

/// Draws the pictures, uploads them and waits until the server has imported them.
async fn make_dataset(images: u32, folder: &Path, client: &Client) -> anyhow::Result<Dataset> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create the folder {}", folder.display()))?;
    let archive = folder.join("sample.zip");
    let bar = report::counter("drawing", images);
    let drawing = {
        let (archive, bar) = (archive.clone(), bar.clone());
        move || {
            let spec = SampleSpec { images, ..SampleSpec::default() };
            sample::write(&archive, &spec, &mut |done| bar.set_position(done as u64))
        }
    };
    tokio::task::spawn_blocking(drawing).await??;
    bar.finish_and_clear();

    let bar = report::counter("importing", images);
    let mut dataset = client.upload(&archive, &dataset_name(images)).await?;
    while dataset.status == DatasetStatus::Importing {
        if let Some(progress) = dataset.progress {
            bar.set_length(progress.total as u64);
            bar.set_position(progress.done as u64);
        }
        tokio::time::sleep(LOOK_EVERY).await;
        dataset = client.dataset(&dataset.id).await?;
    }
    bar.finish_and_clear();
    if dataset.status != DatasetStatus::Ready {
        bail!("the server could not import the pictures: {}", dataset.error.unwrap_or_default());
    }
    Ok(dataset)
}

/// Shows progress until the job has ended, whatever the outcome.
async fn follow(id: &str, client: &Client, report: &DemoReport) -> anyhow::Result<Job> {
    let mut shown = 0;
    loop {
        let job = client.job(id).await?;
        let rows = client.metrics(id).await?;
        for row in &rows[shown.min(rows.len())..] {
            report.epoch(row);
        }
        shown = rows.len();
        report.progress(&job);
        if job.state.is_terminal() {
            return Ok(job);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

const LOOK_EVERY: Duration = Duration::from_millis(500);
