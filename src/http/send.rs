//! Downloads of files, with support for ranges and entity tags.

use std::path::PathBuf;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tower::ServiceExt;
use tower_http::services::ServeFile;

use super::conditional::is_known;
use super::problem::{Problem, Result};
use crate::protocol::events::Artifact;

/// Returns the file with this name; a 404 lists the files that exist.
pub(super) fn named<'a>(files: &'a [Artifact], name: &str) -> Result<&'a Artifact> {
    let found = files.iter().find(|file| file.name == name);
    found.ok_or_else(|| {
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Problem::not_found(format_args!("file {name:?} here; the files are: {there}"))
    })
}

/// Sends a file, or the requested range of it, unless the client already has it.
pub(super) async fn send(
    path: PathBuf,
    artifact: &Artifact,
    mut request: Request,
) -> Result<Response> {
    let headers = headers(artifact);
    let etag = etag(artifact);
    if is_known(request.headers(), &etag) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    // The client cannot combine its part with a range of a different version, so it gets the whole file.
    let asked_of = request.headers().get(header::IF_RANGE);
    if asked_of.is_some_and(|asked_of| asked_of.as_bytes() != etag.as_bytes()) {
        request.headers_mut().remove(header::RANGE);
    }
    for by_time in [header::IF_MODIFIED_SINCE, header::IF_UNMODIFIED_SINCE] {
        request.headers_mut().remove(by_time); // The entity tag is more reliable.
    }
    let response = ServeFile::new(path).ignore_multi_range_requests(true).oneshot(request).await;
    let mut response = response.unwrap_or_else(|never| match never {}).map(Body::new);
    if response.status() == StatusCode::NOT_FOUND {
        return Err(Problem::not_found(format_args!("{} on the disk any more", artifact.name)));
    }
    if response.status().is_success() {
        response.headers_mut().extend(headers);
    }
    Ok(response)
}

/// Sends bytes from memory, unless the client already has them.
pub(super) fn send_bytes(artifact: &Artifact, bytes: Vec<u8>, asked: &HeaderMap) -> Response {
    let headers = headers(artifact);
    if is_known(asked, &etag(artifact)) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, bytes).into_response()
}

fn etag(artifact: &Artifact) -> String {
    format!("\"{}\"", artifact.sha256)
}

fn headers(artifact: &Artifact) -> HeaderMap {
    let kind = mime_guess::from_path(&artifact.name).first_or_octet_stream();
    let values = [
        (header::ETAG, etag(artifact)),
        (header::CONTENT_TYPE, kind.to_string()),
        (header::CACHE_CONTROL, "private, no-cache".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", artifact.name)),
    ];
    let value = |text: String| HeaderValue::from_str(&text).ok();
    values.into_iter().filter_map(|(name, text)| Some((name, value(text)?))).collect()
}
