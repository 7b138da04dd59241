//! Idempotency keys, which let a client repeat a request safely.

use axum::http::{HeaderMap, StatusCode};

use super::conditional::sha256;
use super::problem::{Problem, Result};
use crate::jobs::Idempotency;

const LONGEST_KEY: usize = 200;

/// Returns the request's `Idempotency-Key`, if it has one, with the hash of its body.
pub(super) fn idempotency(headers: &HeaderMap, body: &[u8]) -> Result<Option<Idempotency>> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| (1..=LONGEST_KEY).contains(&key.len()));
    let key = key.ok_or_else(|| {
        let detail = format!("Idempotency-Key must have 1 to {LONGEST_KEY} ASCII characters");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    })?;
    let body_sha256 = sha256(body);
    Ok(Some(Idempotency { key: key.to_owned(), body_sha256 }))
}
