//! The dashboard: the files of `web/dist`, embedded in the binary.

use std::borrow::Cow;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::conditional::is_known;
use super::problem::Problem;

/// Debug builds read the files from disk instead.
#[derive(RustEmbed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Assets;

const INDEX: &str = "index.html";
/// Content codings of the compressed copies, smallest first, and the copies' file name extensions.
const COPIES: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];
/// File names in this folder contain a hash of the file's content, so clients may cache them forever.
const HASHED: &str = "assets/";

const NOT_BUILT: &str = "<!doctype html><meta charset=utf-8><title>Blazetune</title>\
    <body style='font: 1rem/1.5 sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem'>\
    <h1>Blazetune is running</h1><p>This build has no dashboard. Run <code>make build</code>, or \
    use the API under <a href='/api/v1/system'>/api/v1</a>.</p>";

/// Serves a file of the dashboard. Paths without a dot are the dashboard's own routes and get `index.html`.
pub(super) async fn asset(request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    if path == "api" || path.starts_with("api/") {
        return Problem::not_found(format_args!("path /{path}; the API is under /api/v1"))
            .into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    if COPIES.iter().any(|(_, extension)| path.ends_with(extension)) {
        return Problem::not_found(format_args!("file /{path}")).into_response();
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

fn send(path: &str, plain: EmbeddedFile, request: &Request) -> Response {
    let copy = COPIES.iter().find_map(|&(coding, extension)| {
        let takes = accepts(request.headers(), coding);
        takes.then(|| Assets::get(&format!("{path}{extension}"))).flatten().map(|f| (coding, f))
    });
    let (coding, file) = copy.map_or((None, plain), |(coding, file)| (Some(coding), file));
    let etag = format!("\"{}\"", hex::encode(file.metadata.sha256_hash()));
    let is_hashed = path.starts_with(HASHED);
    let caching = [
        (
            header::CACHE_CONTROL,
            if is_hashed { "public, max-age=31536000, immutable" } else { "no-cache" },
        ),
        (header::ETAG, etag.as_str()),
        (header::VARY, "accept-encoding"),
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
    let mut response = (caching, [(header::CONTENT_TYPE, kind)], body).into_response();
    if let Some(coding) = coding {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    response
}

/// Whether a client accepts a content coding, by name or by `*`, with a weight above 0.
fn accepts(headers: &HeaderMap, coding: &str) -> bool {
    let sent = headers.get_all(header::ACCEPT_ENCODING).iter();
    let items: Vec<&str> =
        sent.filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(',')).collect();
    let weight = |wanted: &str| {
        items.iter().find_map(|item| {
            let (name, parameter) = item.split_once(';').unwrap_or((item, "q=1"));
            let weight = parameter.trim().strip_prefix("q=").and_then(|q| q.trim().parse().ok());
            name.trim().eq_ignore_ascii_case(wanted).then_some(weight.unwrap_or(1.0))
        })
    };
    weight(coding).or_else(|| weight("*")).is_some_and(|weight: f32| weight > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coding_is_accepted_by_name_or_star_unless_its_weight_is_zero() {
        let accepts = |sent: &str, coding: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, sent.parse().unwrap());
            accepts(&headers, coding)
        };
        assert!(accepts("gzip, deflate, br, zstd", "br"));
        assert!(accepts("BR;q=0.5", "br") && accepts("*", "br") && accepts("gzip;q=1.0", "gzip"));
        assert!(!accepts("gzip, br;q=0", "br") && !accepts("br;q=0, *", "br"));
        assert!(!accepts("", "br") && !accepts("brotli", "br") && !accepts("*;q=0", "gzip"));
        assert!(!super::accepts(&HeaderMap::new(), "gzip"));
    }
}
