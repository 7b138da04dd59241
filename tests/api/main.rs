//! Tests of the API over HTTP, with a real database and a real socket, and with real workers unless a shell script
//! plays the worker.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

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
mod export;
mod extend;
mod failures;
mod imports;
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
mod uploads;
mod verbs;
#[cfg(feature = "torch")]
mod weights;
