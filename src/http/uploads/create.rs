//! `POST /uploads`: announces an upload, or joins parts that were uploaded in parallel.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::headers::{CONCAT, EXPIRES, LENGTH, OFFSET, expires, number};
use super::{BYTES, metadata, receive};
use crate::http::app::App;
use crate::http::datasets::upload::ADVICE;
use crate::http::extract::content_type;
use crate::http::problem::{Problem, Result};
use crate::jobs::{UnfinishedUpload, UploadNote};
use crate::store::ids::DatasetId;
use crate::time;

/// `POST /uploads`
pub(super) async fn create(State(app): State<Arc<App>>, request: Request) -> Result<Response> {
    let headers = request.headers();
    let (name, labels) = metadata::read(headers)?;
    let concat = headers.get(CONCAT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let parts = match concat.strip_prefix("final;") {
        Some(urls) => parts(&app, urls).await?,
        None => Vec::new(),
    };
    let length = if parts.is_empty() {
        announced(headers)?
    } else {
        parts.iter().map(|(_, length)| length).sum()
    };
    // The parts are already on disk, and joining copies one at a time.
    let needed = parts.iter().map(|&(_, length)| length).max().unwrap_or(length);
    check_length(&app, length, needed)?;
    let created_at = time::now();
    let is_part = concat == "partial";
    let note = UploadNote { length, name, labels, created_at, is_part, parts };
    let (upload, offset) = if note.parts.is_empty() {
        let upload = app.jobs.create_upload(note).await?;
        let has_bytes = content_type(headers) == BYTES;
        let offset = if has_bytes { receive::receive(&app, &upload, 0, request).await? } else { 0 };
        (upload, offset)
    } else {
        // A client that disconnects now must not interrupt this halfway.
        let task = tokio::spawn(join(app.clone(), note));
        (task.await.map_err(|error| Problem::internal(&error))??, length)
    };
    let place = [
        (header::LOCATION, format!("/api/v1/uploads/{}", upload.id)),
        (OFFSET, offset.to_string()),
        (EXPIRES, expires()),
    ];
    Ok((StatusCode::CREATED, place).into_response())
}

async fn join(app: Arc<App>, note: UploadNote) -> Result<UnfinishedUpload> {
    let upload = app.jobs.create_upload(note).await?;
    receive::finish(&app, &upload, upload.note.length).await?;
    Ok(upload)
}

fn announced(headers: &HeaderMap) -> Result<u64> {
    number(headers, &LENGTH)?.ok_or_else(|| {
        let text = "give the archive's length in bytes in the Upload-Length header";
        Problem::new(StatusCode::BAD_REQUEST, text)
    })
}

fn check_length(app: &App, length: u64, needed: u64) -> Result<()> {
    let limit = app.config.limits.upload_bytes;
    if length > limit {
        return Err(Problem::too_large(limit));
    }
    if length == 0 {
        let text = format!("the upload is empty; {ADVICE}");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text));
    }
    app.jobs.lacks_room(needed).map_or(Ok(()), |lack| Err(Problem::no_room(lack)))
}

/// Returns the parts that a final upload names, with their lengths.
async fn parts(app: &App, urls: &str) -> Result<Vec<(DatasetId, u64)>> {
    let bad = |url: &str, why: &str| {
        let text = format!("cannot join {url:?}: {why}");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text)
    };
    let mut parts = Vec::new();
    for url in urls.split_whitespace() {
        let id = url.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let upload = id.parse::<DatasetId>().ok().map(|id| app.jobs.upload(id)).transpose()?;
        let upload = upload.flatten().ok_or_else(|| bad(url, "there is no such upload"))?;
        let _turn = app.receiving.take_over(upload.id).await;
        if !upload.note.is_part {
            return Err(bad(url, "it was not announced with \"Upload-Concat: partial\""));
        }
        if upload.offset().is_ok_and(|offset| offset != upload.note.length) {
            return Err(bad(url, "some of its bytes are missing"));
        }
        parts.push((upload.id, upload.note.length));
    }
    if parts.is_empty() {
        return Err(bad(urls, "list the parts' URLs, separated by spaces"));
    }
    Ok(parts)
}
