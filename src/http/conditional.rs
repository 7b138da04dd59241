//! Conditional requests: entity tags of content that a client may already have.

use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};

/// Whether the client already has the content that `etag` identifies. `etag` includes its quotes.
pub(super) fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH);
    known.iter().filter_map(|value| value.to_str().ok()).any(|list| {
        list.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
    })
}

/// Returns the SHA-256 of `bytes` in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_matches_in_every_form_that_a_client_may_send() {
        let is_known = |sent: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, sent.parse().unwrap());
            is_known(&headers, "\"abc\"")
        };
        assert!(is_known("\"abc\"") && is_known("W/\"abc\"") && is_known("*"));
        assert!(is_known("\"x\", \"abc\""));
        assert!(!is_known("\"ab\"") && !is_known("abc"));
        assert!(!super::is_known(&HeaderMap::new(), "\"abc\""));
    }
}
