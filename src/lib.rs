//! Blazetune: fine-tunes `MediaPipe`'s `BlazeFace` on a user's own pictures.
//!
//! Modules import only downward. The server (`http`, `jobs`, `store`) and a worker (`worker`, `train`) meet only in
//! `protocol`. The table of layers is in `docs/architecture.md`; `tests/layers.rs` holds every file to it.

pub mod config;
pub mod data;
pub mod disk;
pub mod error;
pub mod eval;
pub mod geometry;
pub mod http;
pub mod jobs;
pub mod model;
pub mod protobuf;
pub mod protocol;
pub mod sample;
pub mod store;
pub mod time;
pub mod train;
pub mod weights;
pub mod worker;
