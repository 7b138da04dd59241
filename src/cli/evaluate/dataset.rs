//! Opens the data set to evaluate on: an archive, a folder or an imported data set.

use std::fs::File;
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use blazetune::data::ImportedDataset;
use blazetune::data::import::import;
use blazetune::data::options::{ImportOptions, ImportProgress};
use indicatif::{ProgressBar, ProgressStyle};
use tempfile::TempDir;

/// An imported data set.
#[derive(Debug)]
pub(super) struct Place {
    dir: PathBuf,
    /// The temporary folder that it was imported into for this run.
    _temporary: Option<TempDir>,
}

impl Place {
    /// Returns the data set's folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }
}

/// Opens a data set that a server has imported. Imports anything else into a temporary folder.
pub(super) fn open(path: &Path) -> anyhow::Result<Place> {
    ensure!(
        path.exists(),
        "{} does not exist; pass a data set as a zip, tar, tar.gz or folder",
        path.display()
    );
    if ImportedDataset::is_at(path) {
        return Ok(Place { dir: path.to_owned(), _temporary: None });
    }
    let temporary = tempfile::tempdir().context("cannot create a temporary folder")?;
    let archive = if path.is_dir() {
        ensure!(
            std::fs::read_dir(path)?.next().is_some(),
            "{} is empty; pass a folder with pictures and a CSV file",
            path.display()
        );
        let archive = temporary.path().join("folder.tar");
        pack(path, &archive).with_context(|| format!("cannot read {}", path.display()))?;
        archive
    } else {
        path.to_owned()
    };
    let dir = temporary.path().join("dataset");
    let bar = bar()?;
    let progress = |progress: ImportProgress| {
        bar.set_length(progress.total as u64);
        bar.set_position(progress.done as u64);
        ControlFlow::Continue(())
    };
    let imported = import(&archive, &dir, &ImportOptions::default(), &progress);
    bar.finish_and_clear();
    let manifest = imported.with_context(|| format!("cannot use {}", path.display()))?;
    warn(path, manifest.report.counts.values().sum());
    Ok(Place { dir, _temporary: Some(temporary) })
}

#[expect(clippy::print_stderr, reason = "the user must know what was left out")]
fn warn(path: &Path, problems: u64) {
    if problems > 0 {
        eprintln!("{}: {problems} bad rows or pictures were left out", path.display());
    }
}

/// Packs a folder into a tar archive, because the import reads only archives.
fn pack(folder: &Path, archive: &Path) -> std::io::Result<()> {
    let mut tar = tar::Builder::new(File::create(archive)?);
    tar.append_dir_all("", folder)?;
    tar.into_inner()?.sync_data()
}

fn bar() -> anyhow::Result<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let style = ProgressStyle::with_template("importing [{bar:30}] {pos}/{len}")?;
    Ok(ProgressBar::new(0).with_style(style.progress_chars("=> ")))
}
