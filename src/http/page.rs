//! Lists, one page at a time.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::problem::{Problem, Result};

const DEFAULT: u32 = 50;
const MOST: u32 = 200;

/// Which page.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PageQuery {
    pub(super) limit: Option<u32>,
    pub(super) cursor: Option<String>,
}

/// A page.
#[derive(Debug, Serialize)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    /// Cursor of the next page; none after the last.
    pub(super) next_cursor: Option<String>,
}

impl PageQuery {
    /// How many items, at most.
    pub(super) fn limit(&self) -> Result<usize> {
        let limit = self.limit.unwrap_or(DEFAULT);
        if (1..=MOST).contains(&limit) {
            Ok(limit as usize)
        } else {
            Err(Problem::new(
                axum::http::StatusCode::UNPROCESSABLE_ENTITY,
                format_args!("limit is {limit}; it has to be from 1 to {MOST}"),
            ))
        }
    }

    /// Where the previous page ended.
    pub(super) fn cursor<C: FromStr>(&self) -> Result<Option<C>> {
        let parse = |cursor: &String| {
            cursor.parse().map_err(|_| {
                Problem::new(
                    axum::http::StatusCode::UNPROCESSABLE_ENTITY,
                    format_args!("cursor is {cursor:?}; use next_cursor of the previous page"),
                )
            })
        };
        self.cursor.as_ref().map(parse).transpose()
    }
}

impl<T> Page<T> {
    /// A page from up to one item more than `limit`.
    pub(super) fn new(mut items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> Self {
        let has_more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = if has_more { items.last().map(cursor) } else { None };
        Self { items, next_cursor }
    }
}
