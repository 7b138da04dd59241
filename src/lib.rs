//! Blazetune.

pub mod data;
pub mod eval;
pub mod geometry;
pub mod model;
pub mod train;
