//! Headers of tus.

use std::time::SystemTime;

use axum::http::{HeaderMap, HeaderName, StatusCode};

use crate::http::problem::{Problem, Result};
use crate::jobs::KEPT_FOR;

pub(super) const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
pub(super) const LENGTH: HeaderName = HeaderName::from_static("upload-length");
pub(super) const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
pub(super) const CONCAT: HeaderName = HeaderName::from_static("upload-concat");

/// Reads a header that holds a number.
pub(super) fn number(headers: &HeaderMap, name: &HeaderName) -> Result<Option<u64>> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let number = value.to_str().ok().and_then(|value| value.parse().ok());
    number.map(Some).ok_or_else(|| {
        Problem::new(StatusCode::BAD_REQUEST, format_args!("the header {name} is not a number"))
    })
}

/// Returns when an upload that is not continued will be deleted.
pub(super) fn expires() -> String {
    httpdate::fmt_http_date(SystemTime::now() + KEPT_FOR)
}
