//! The diagnostic artifacts: sheets of sample views and `TensorBoard`'s event file.

use std::io;
use std::path::Path;

use super::artifacts;
use super::error::RunError;
use super::tensorboard;
use crate::disk;
use crate::protocol::events::{Artifact, Artifacts};
use crate::protocol::metrics::MetricsRow;
use crate::train::diagnostics::sheet;
use crate::train::trainer::Trainer;

/// Draws the epoch's sheet of sample views, unless it is already drawn. Returns the file's name, or `None` if the epoch
/// has no sheet.
///
/// # Errors
///
/// [`RunError`] if the file cannot be written.
pub fn save_views(
    folder: &Path,
    epoch: u32,
    trainer: &mut Trainer<'_>,
) -> Result<Option<String>, RunError> {
    let Some(name) = sheet::file_name(epoch) else { return Ok(None) };
    let path = folder.join(&name);
    if let Some(sheet) = trainer.take_sheet() {
        let jpeg = sheet::jpeg(&sheet.draw()).map_err(|error| RunError::Export(error.into()))?;
        disk::write(&path, &jpeg)?;
    }
    Ok(path.exists().then_some(name))
}

/// Describes the current event file and the existing sheets of sample views for the epochs in `rows`.
///
/// # Errors
///
/// Any file system error.
pub fn written(folder: &Path, rows: &[MetricsRow]) -> io::Result<Artifacts> {
    let views = rows.iter().filter_map(|row| row.diagnostics.as_ref()?.sample_views.as_deref());
    let names = views.chain([tensorboard::FILE]).filter(|name| folder.join(name).exists());
    let artifacts: io::Result<Vec<Artifact>> =
        names.map(|name| artifacts::existing(folder, name)).collect();
    Ok(Artifacts { artifacts: artifacts? })
}
