//! Blazetune fine-tunes `MediaPipe`'s `BlazeFace` on a user's own pictures.
//!
//! Modules import only from lower layers. The server (`http`, `jobs`, `store`) and a worker (`worker`, `train`)
//! communicate only through `protocol`. `docs/architecture.md` lists the layers, and `tests/layers.rs` enforces them.

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
