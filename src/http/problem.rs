//! Failures that the API reports as `application/problem+json` (RFC 9457).

use std::error::Error;
use std::fmt::Display;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::error;

use crate::disk;
use crate::error::chain;
use crate::jobs::DeleteError;
use crate::store;
use crate::store::jobs::JobState;

/// The result of a handler.
pub(super) type Result<T, E = Problem> = std::result::Result<T, E>;

const CONTENT_TYPE: &str = "application/problem+json";
const FULL: &str = "the server's disk is full; free some space, then try again";
/// Maximum length, in bytes, of a plain-text error; those of `axum` and its layers are shorter.
const LONGEST_TEXT: usize = 4096;

/// A problem to report. It holds only what the client may see; [`Problem::internal`] logs what only operators may see.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    /// Always `about:blank`: the problem has no type beyond its status (RFC 9457, 4.2.1).
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    #[serde(serialize_with = "status_number")]
    status: StatusCode,
    detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Wrong>,
    #[serde(skip)]
    retry_after_s: Option<u32>,
    /// The job's state, when it is the reason for the conflict.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<JobState>,
}

/// An invalid value in the request.
#[derive(Debug, Serialize)]
pub(super) struct Wrong {
    /// JSON pointer to the value in the body.
    pub(super) pointer: String,
    /// What is wrong with the value.
    pub(super) detail: String,
}

impl Problem {
    /// Creates a problem with this status and detail.
    pub(super) fn new(status: StatusCode, detail: impl Display) -> Self {
        let title = status.canonical_reason().unwrap_or("Problem");
        let detail = detail.to_string();
        Self {
            kind: "about:blank",
            title,
            status,
            detail,
            errors: Vec::new(),
            state: None,
            retry_after_s: None,
        }
    }

    /// Creates a 404. `what` names the missing thing, such as `job 0197…`.
    pub(super) fn not_found(what: impl Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, format_args!("there is no {what}"))
    }

    /// Creates a 409: the request conflicts with the current state.
    pub(super) fn conflict(detail: impl Display) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// Creates a 409 for a job in this state.
    pub(super) fn conflict_in(state: JobState, detail: impl Display) -> Self {
        Self { state: Some(state), ..Self::conflict(detail) }
    }

    /// Creates a 415: the body has the wrong media type. The detail says which one is expected.
    pub(super) fn wrong_type(detail: impl Display) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    }

    /// Creates a 413: the body is too large.
    pub(super) fn too_large(limit_bytes: u64) -> Self {
        let detail =
            format!("the body is larger than {limit_bytes} bytes, the most this server accepts");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// Creates a 503: the server is busy, and the client can try again after this many seconds.
    pub(super) fn busy(retry_after_s: u32, detail: impl Display) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        Self { retry_after_s: Some(retry_after_s), ..problem }
    }

    /// Creates a 507: the server's disk is full or has reached its configured limit.
    pub(super) fn no_room(detail: impl Display) -> Self {
        Self::new(StatusCode::INSUFFICIENT_STORAGE, detail)
    }

    /// Creates a 422 for invalid values in the request.
    pub(super) fn invalid(errors: Vec<Wrong>) -> Self {
        let texts: Vec<String> =
            errors.iter().map(|wrong| format!("{}: {}", wrong.pointer, wrong.detail)).collect();
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, texts.join("; "));
        Self { errors, ..problem }
    }

    /// Creates a 422 for one invalid value.
    pub(super) fn invalid_value(pointer: &str, detail: impl Display) -> Self {
        let detail = detail.to_string();
        Self::invalid(vec![Wrong { pointer: pointer.to_owned(), detail }])
    }

    /// Creates a 500. Logs the error and its causes, but tells the client nothing about them.
    pub(super) fn internal(source: &(dyn Error + 'static)) -> Self {
        error!("a request failed: {}", chain(source));
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "see the server's log for details")
    }
}

/// A database error is a 500, or a 507 if the disk is full.
impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        if store::is_full(&error) { Self::no_room(FULL) } else { Self::internal(&error) }
    }
}

/// A file system error is a 500, or a 507 if the disk is full.
impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        if disk::is_full(&error) { Self::no_room(FULL) } else { Self::internal(&error) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let retry_after = self.retry_after_s.map(|seconds| [(header::RETRY_AFTER, seconds.into())]);
        let retry_after: Option<[(_, HeaderValue); 1]> = retry_after;
        let kind = [(header::CONTENT_TYPE, CONTENT_TYPE)];
        let mut response = (self.status, kind, Json(self)).into_response();
        response.headers_mut().extend(retry_after.into_iter().flatten());
        response
    }
}

/// Turns the plain-text errors of `axum` and its layers into problems.
pub(super) async fn unify(request: Request, next: Next) -> Response {
    let what = format!("{} {}", request.method(), request.uri().path());
    let response = next.run(request).await;
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE).map(|kind| kind.as_bytes().to_vec());
    let is_text = kind.is_none_or(|kind| kind.starts_with(b"text/plain"));
    if !(status.is_client_error() || status.is_server_error()) || !is_text {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let text = to_bytes(body, LONGEST_TEXT).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let detail = match status {
        StatusCode::METHOD_NOT_ALLOWED => {
            format!("{what} is not supported; the Allow header lists the supported methods")
        }
        StatusCode::FORBIDDEN => "requests from other websites are refused".to_owned(),
        StatusCode::SERVICE_UNAVAILABLE => "the request took too long; try again later".to_owned(),
        StatusCode::RANGE_NOT_SATISFIABLE => {
            "the requested range is beyond the end of the file".to_owned()
        }
        _ if text.is_empty() => format!("{what} failed"),
        _ => text,
    };
    let (problem, body) = Problem::new(status, detail).into_response().into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.extend(problem.headers);
    Response::from_parts(parts, Body::new(body))
}

/// Responds to unknown paths of the API with a 404.
pub(super) async fn no_such_path(request: Request) -> Problem {
    Problem::not_found(format_args!("path {} in this API", request.uri().path()))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn status_number<S: serde::Serializer>(
    status: &StatusCode,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl From<DeleteError> for Problem {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::Missing(what) => Self::not_found(what),
            DeleteError::InUse(why) => Self::conflict(why),
            DeleteError::Db(error) => error.into(),
        }
    }
}
