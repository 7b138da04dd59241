//! The API, from outside: a real database, a real socket, and real workers, but where a test is
//! about workers that misbehave.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cases;
#[path = "../common/mod.rs"]
mod common;
#[cfg(feature = "torch")]
#[path = "../weights/support.rs"]
#[expect(dead_code, reason = "tests/weights uses the rest")]
mod consumers;
mod datasets;
mod disk;
mod evaluations;
mod extend;
mod failures;
mod jobs;
mod kept;
mod labels;
mod life;
mod models;
mod problems;
mod process;
mod serving;
#[cfg(not(feature = "torch"))]
mod small;
mod soak;
mod stream;
mod support;
mod trouble;
mod verbs;
#[cfg(feature = "torch")]
mod weights;
