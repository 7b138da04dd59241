//! Importing archives: good ones, bad ones and hostile ones.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../common/mod.rs"]
mod common;
mod copies;
mod disk;
mod hostile;
mod pictures;
mod sets;
mod support;
mod wider;
