//! Fields that several bodies have.

use axum::http::StatusCode;
use serde::Deserialize;

use super::problem::{Problem, Result, Wrong};

const LONGEST_NAME: usize = 200;

/// What is wrong with the name of a job or a model.
pub(super) fn wrong_name(name: &str) -> Option<Wrong> {
    let is_right = (1..=LONGEST_NAME).contains(&name.trim().chars().count());
    let detail = format!("must have 1 to {LONGEST_NAME} characters");
    (!is_right).then(|| Wrong { pointer: "/name".to_owned(), detail })
}

/// A name in the query.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NameQuery {
    name: Option<String>,
}

impl NameQuery {
    /// A valid name, if there is one.
    pub(super) fn name(self) -> Result<Option<String>> {
        valid_name(self.name)
    }
}

/// A name from the query, checked.
pub(super) fn valid_name(name: Option<String>) -> Result<Option<String>> {
    let Some(name) = name else { return Ok(None) };
    let name = name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME {
        let text = format!("the name must have 1 to {LONGEST_NAME} characters");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text));
    }
    Ok(Some(name.to_owned()))
}
