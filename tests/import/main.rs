//! Importing archives: good ones, bad ones and hostile ones.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "these tests use only some of the helpers")]
mod common;
mod copies;
mod disk;
mod export;
mod formats;
mod hostile;
mod labels;
mod pictures;
mod sets;
mod skips;
mod support;
mod tools;
mod wider;
