//! The dashboard: `web/dist`, built into the binary.

use std::borrow::Cow;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::conditional::is_known;
use super::problem::Problem;

/// Read from the disk in debug builds.
#[derive(RustEmbed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Assets;

const INDEX: &str = "index.html";
/// Files there have a hash of their content in their names.
const HASHED: &str = "assets/";

const NOT_BUILT: &str = "<!doctype html><meta charset=utf-8><title>Blazetune</title>\
    <body style='font: 1rem/1.5 sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem'>\
    <h1>Blazetune is running</h1><p>This build has no dashboard. Run <code>make build</code>, or \
    use the API under <a href='/api/v1/system'>/api/v1</a>.</p>";

/// Files as they are; the dashboard itself for its own paths, none of which has a dot.
pub(super) async fn asset(request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    if path == "api" || path.starts_with("api/") {
        return Problem::not_found(format_args!("/{path}; the API is under /api/v1"))
            .into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let (path, file) = match Assets::get(path) {
        Some(file) => (path, Some(file)),
        None if path.contains('.') => (path, None),
        None => (INDEX, Assets::get(INDEX)),
    };
    match file {
        Some(file) => send(path, file, &request),
        None if path == INDEX => Html(NOT_BUILT).into_response(),
        None => Problem::not_found(format_args!("file /{path}")).into_response(),
    }
}

fn send(path: &str, file: EmbeddedFile, request: &Request) -> Response {
    let etag = format!("\"{}\"", hex::encode(file.metadata.sha256_hash()));
    let is_hashed = path.starts_with(HASHED);
    let caching = [
        (
            header::CACHE_CONTROL,
            if is_hashed { "public, max-age=31536000, immutable" } else { "no-cache" },
        ),
        (header::ETAG, etag.as_str()),
    ];
    if is_known(request.headers(), &etag) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    let kind = mime_guess::from_path(path).first_or_octet_stream();
    let kind = match kind.type_() {
        mime_guess::mime::TEXT => format!("{kind}; charset=utf-8"),
        _ => kind.to_string(),
    };
    let body = match file.data {
        Cow::Borrowed(bytes) => Body::from(bytes),
        Cow::Owned(bytes) => Body::from(bytes),
    };
    (caching, [(header::CONTENT_TYPE, kind)], body).into_response()
}
