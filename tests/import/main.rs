//! Importing archives: good ones, bad ones and hostile ones.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "nothing is compared with others' programs here")]
mod common;
mod copies;
mod disk;
mod formats;
mod hostile;
mod labels;
mod pictures;
mod sets;
mod skips;
mod support;
mod wider;
