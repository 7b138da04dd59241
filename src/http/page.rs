//! Paging of lists.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::problem::{Problem, Result};

const DEFAULT: u32 = 50;
const MOST: u32 = 200;

/// The query parameters that select a page.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PageQuery {
    pub(super) limit: Option<u32>,
    pub(super) cursor: Option<String>,
}

/// One page of a list.
#[derive(Debug, Serialize)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    /// Cursor of the next page; `null` on the last page.
    pub(super) next_cursor: Option<String>,
}

impl PageQuery {
    /// Returns the maximum number of items on the page.
    pub(super) fn limit(&self) -> Result<usize> {
        let limit = self.limit.unwrap_or(DEFAULT);
        if (1..=MOST).contains(&limit) {
            Ok(limit as usize)
        } else {
            Err(Problem::new(
                axum::http::StatusCode::UNPROCESSABLE_ENTITY,
                format_args!("limit is {limit}; it must be from 1 to {MOST}"),
            ))
        }
    }

    /// Returns the cursor, which marks where the previous page ended.
    pub(super) fn cursor<C: FromStr>(&self) -> Result<Option<C>> {
        let parse = |cursor: &String| {
            cursor.parse().map_err(|_| {
                Problem::new(
                    axum::http::StatusCode::UNPROCESSABLE_ENTITY,
                    format_args!("invalid cursor {cursor:?}; use next_cursor of the previous page"),
                )
            })
        };
        self.cursor.as_ref().map(parse).transpose()
    }
}

impl<T> Page<T> {
    /// Creates a page from the items found. One item more than `limit` means that there is another page.
    pub(super) fn new(mut items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> Self {
        let has_more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = if has_more { items.last().map(cursor) } else { None };
        Self { items, next_cursor }
    }
}
