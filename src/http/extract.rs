//! Extractors that reject a request with a [`Problem`].

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_path_to_error::{Path as JsonPath, Segment};

use super::problem::{Problem, Result};

/// Path parameters.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub(super) struct Path<T>(pub(super) T);

/// Query parameters.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub(super) struct Query<T>(pub(super) T);

/// A JSON body, and its bytes.
pub(super) struct JsonBody<T> {
    pub(super) value: T,
    pub(super) bytes: Bytes,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let kind = content_type(request.headers());
        if kind != "application/json" && !kind.ends_with("+json") {
            return Err(Problem::wrong_type(
                "send JSON, with the header Content-Type: application/json",
            ));
        }
        let bytes = Bytes::from_request(request, state).await?;
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        let value = typed(&mut json)?;
        json.end().map_err(|error| unreadable("", &error))?;
        Ok(Self { value, bytes })
    }
}

/// Parses a value. An error points to the part that cannot be read.
pub(super) fn typed<'de, T, D>(json: D) -> Result<T>
where
    T: Deserialize<'de>,
    D: Deserializer<'de, Error = serde_json::Error>,
{
    serde_path_to_error::deserialize(json).map_err(|error| {
        let (pointer, error) = (pointer(error.path()), error.into_inner());
        let missing =
            missing_field(&error.to_string()).map_or(String::new(), |name| format!("/{name}"));
        unreadable(&(pointer + &missing), &error)
    })
}

/// Returns the name of the missing field from serde's message; the error's path does not include it.
fn missing_field(text: &str) -> Option<&str> {
    Some(text.strip_prefix("missing field `")?.split_once('`')?.0)
}

fn unreadable(pointer: &str, error: &serde_json::Error) -> Problem {
    if error.is_data() {
        Problem::invalid_value(pointer, error)
    } else {
        Problem::new(StatusCode::BAD_REQUEST, format_args!("the body is not JSON: {error}"))
    }
}

/// Returns the path as a JSON pointer (RFC 6901).
fn pointer(path: &JsonPath) -> String {
    let segment = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { variant } => format!("/{variant}"),
        Segment::Unknown => String::new(),
    };
    path.iter().map(segment).collect()
}

/// Returns the body's media type in lower case, without parameters; empty if the header is missing.
pub(super) fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = value.unwrap_or_default().split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

/// A path parameter of the wrong form, such as an invalid ID, cannot name anything that exists: 404.
impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::new(StatusCode::NOT_FOUND, rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, rejection.body_text())
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

/// Reads a whole body of at most `limit_bytes`.
pub(super) async fn whole(body: Body, limit_bytes: u64) -> Result<Bytes> {
    let limit = usize::try_from(limit_bytes).unwrap_or(usize::MAX);
    to_bytes(body, limit).await.map_err(|_| Problem::too_large(limit_bytes))
}
