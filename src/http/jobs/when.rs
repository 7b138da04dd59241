//! The fields of a request that say when a job may run, and for how long.

use crate::http::problem::Wrong;
use crate::jobs::When;

const PRIORITIES: std::ops::RangeInclusive<i64> = -1000..=1000;
const LONGEST_S: i64 = 365 * 24 * 3600;

/// Checks these fields. Returns their values and what is wrong with them.
pub(super) fn when(
    priority: i64,
    not_before: Option<&str>,
    time_limit_s: Option<i64>,
) -> (When, Vec<Wrong>) {
    let mut wrong = Vec::new();
    let mut add = |pointer: &str, detail: String| {
        wrong.push(Wrong { pointer: pointer.to_owned(), detail });
    };
    if !PRIORITIES.contains(&priority) {
        let (least, most) = PRIORITIES.into_inner();
        add("/priority", format!("must be from {least} to {most}"));
    }
    if time_limit_s.is_some_and(|limit| !(1..=LONGEST_S).contains(&limit)) {
        add("/time_limit_s", format!("must be from 1 to {LONGEST_S} seconds"));
    }
    let time = not_before.map(str::parse::<jiff::Timestamp>);
    if matches!(time, Some(Err(_))) {
        add("/not_before", "must be a time such as \"2026-03-01T22:00:00Z\"".to_owned());
    }
    let not_before = time.and_then(Result::ok).map(|time| format!("{time:.3}"));
    (When { priority, not_before, time_limit_s }, wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_converted_to_utc_so_that_they_compare_as_text() {
        let (found, wrong) = when(0, Some("2026-03-01T22:00:00+02:00"), Some(60));
        assert!(wrong.is_empty());
        assert_eq!(found.not_before.as_deref(), Some("2026-03-01T20:00:00.000Z"));
    }

    #[test]
    fn every_invalid_field_is_reported() {
        let (_, wrong) = when(5000, Some("tomorrow"), Some(0));
        let pointers: Vec<&str> = wrong.iter().map(|wrong| wrong.pointer.as_str()).collect();
        assert_eq!(pointers, ["/priority", "/time_limit_s", "/not_before"]);
    }
}
