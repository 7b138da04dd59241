//! `/system`: version, devices, disk space and jobs.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;

use super::app::App;
use super::blocking::blocking;
use super::devices::DeviceView;
use super::problem::{Problem, Result};
use crate::store;
use crate::store::jobs::JobState;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/system", get(show))
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "System")]
struct SystemView {
    version: &'static str,
    uptime_s: u64,
    devices: Vec<DeviceView>,
    /// Number of jobs by state.
    queue: BTreeMap<&'static str, i64>,
    /// For each device that is free but cannot start a waiting job, the reason.
    waiting: BTreeMap<String, String>,
    disk: Disk,
    data_dir: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Disk {
    free_bytes: u64,
    total_bytes: u64,
}

/// `GET /system`
async fn show(State(app): State<Arc<App>>) -> Result<Json<SystemView>> {
    let mut queue: BTreeMap<&str, i64> =
        JobState::ALL.iter().map(|state| (state.name(), 0)).collect();
    queue.extend(store::jobs::counts(&app.db).await?.into_iter().map(|(s, n)| (s.name(), n)));
    let folder = app.folder.clone();
    let stat = blocking(move || rustix::fs::statvfs(folder.root())).await?;
    let stat = stat.map_err(|error| Problem::internal(&error))?;
    let devices = app.devices.0.clone();
    Ok(Json(SystemView {
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: app.started.elapsed().as_secs(),
        devices: blocking(move || devices()).await?,
        queue,
        waiting: app.jobs.waiting(),
        disk: Disk {
            free_bytes: stat.f_bavail * stat.f_frsize,
            total_bytes: stat.f_blocks * stat.f_frsize,
        },
        data_dir: app.folder.root().display().to_string(),
    }))
}

/// Adds the schema of the response.
pub(super) fn describe(generator: &mut SchemaGenerator) {
    generator.subschema_for::<SystemView>();
}
