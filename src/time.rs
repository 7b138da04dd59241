//! Timestamps.

/// Returns the current time as RFC 3339 text, in UTC with milliseconds.
pub fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}
