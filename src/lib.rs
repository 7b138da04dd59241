//! Blazetune: fine-tunes `MediaPipe`'s `BlazeFace` on a user's own pictures.
//!
//! Modules import only downward: `disk` and `geometry` know nothing of ours; `model` and `data` stand on
//! them; `weights` and `eval` on those; `train` on all of these.

pub mod config;
pub mod data;
pub mod disk;
pub mod eval;
pub mod geometry;
pub mod http;
pub mod jobs;
pub mod model;
pub mod store;
pub mod train;
pub mod weights;
