//! `/jobs/{id}/samples`, `/log` and `/artifacts`: a job's sample detections, its log, and the list of its artifacts.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path as FilePath;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};

use super::view::find;
use crate::http::app::App;
use crate::http::blocking::blocking;
use crate::http::extract::{Path, Query};
use crate::http::page::{Page, PageQuery};
use crate::http::problem::{Problem, Result};
use crate::protocol::events::Artifact;
use crate::store;
use crate::store::ids::JobId;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/jobs/{id}/samples", get(samples))
        .route("/jobs/{id}/log", get(log))
        .route("/jobs/{id}/artifacts", get(artifacts))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SamplesQuery {
    epoch: Option<u32>,
}

/// `GET /jobs/{id}/samples?epoch=`: the sample detections of an epoch, by default the latest.
async fn samples(
    State(app): State<Arc<App>>,
    Path(id): Path<JobId>,
    Query(query): Query<SamplesQuery>,
) -> Result<Json<Value>> {
    find(&app, id).await?;
    let samples = store::events::sample(&app.db, id, query.epoch).await?;
    let missing = || match query.epoch {
        Some(epoch) => Problem::not_found(format_args!("sample of epoch {epoch} in job {id}")),
        None => Problem::not_found(format_args!("sample of job {id} yet")),
    };
    Ok(Json(samples.ok_or_else(missing)?))
}

/// `GET /jobs/{id}/artifacts`
async fn artifacts(
    State(app): State<Arc<App>>,
    Path(id): Path<JobId>,
) -> Result<Json<Page<Artifact>>> {
    find(&app, id).await?;
    let items = store::artifacts::of_job(&app.db, id).await?;
    Ok(Json(Page { items, next_cursor: None }))
}

/// `GET /jobs/{id}/log?limit=`: the last lines of the log, oldest first.
async fn log(
    State(app): State<Arc<App>>,
    Path(id): Path<JobId>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Value>>> {
    find(&app, id).await?;
    let limit = page.limit()?;
    let path = app.jobs.dir(id).log_file();
    let items = blocking(move || last_lines(&path, limit)).await??;
    Ok(Json(Page { items, next_cursor: None }))
}

/// Number of bytes to read from the end of the log.
const TAIL_BYTES: u64 = 1 << 20;

/// Returns the last lines, as JSON. A job that has not started has none.
fn last_lines(path: &FilePath, limit: usize) -> io::Result<Vec<Value>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        file => file?,
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut tail = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut tail)?;
    let parse = |line: &[u8]| -> Option<Value> {
        let text = String::from_utf8_lossy(line);
        let text = text.trim();
        // A line that is not JSON is cut off at its start, or the worker is still writing it.
        let line = || json!({"level": "INFO", "message": text});
        (!text.is_empty()).then(|| serde_json::from_str(text).unwrap_or_else(|_| line()))
    };
    let mut lines: Vec<Value> =
        tail.rsplit(|&byte| byte == b'\n').filter_map(parse).take(limit).collect();
    lines.reverse();
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_the_newest_ones_in_order() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{\"n\":1}\n{\"n\":2}\nnot json\n").unwrap();
        let lines = last_lines(file.path(), 2).unwrap();
        assert_eq!(lines, [json!({"n": 2}), json!({"level": "INFO", "message": "not json"})]);
        assert!(last_lines(FilePath::new("/no/such/file"), 2).unwrap().is_empty());
    }
}
