//! Fields that several requests have in common.

use axum::http::StatusCode;
use serde::Deserialize;

use super::problem::{Problem, Result, Wrong};

const LONGEST_NAME: usize = 200;

/// Returns what is wrong with the name of a job or model, if anything.
pub(super) fn wrong_name(name: &str) -> Option<Wrong> {
    let is_right = (1..=LONGEST_NAME).contains(&name.trim().chars().count());
    let detail = format!("must have 1 to {LONGEST_NAME} characters");
    (!is_right).then(|| Wrong { pointer: "/name".to_owned(), detail })
}

/// An optional name in the query.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NameQuery {
    name: Option<String>,
}

impl NameQuery {
    /// Returns the name, trimmed and checked.
    pub(super) fn name(self) -> Result<Option<String>> {
        valid_name(self.name)
    }
}

/// Trims and checks an optional name from the query.
pub(super) fn valid_name(name: Option<String>) -> Result<Option<String>> {
    let Some(name) = name else { return Ok(None) };
    let name = name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME {
        let text = format!("the name must have 1 to {LONGEST_NAME} characters");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text));
    }
    Ok(Some(name.to_owned()))
}
