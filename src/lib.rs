//! Blazetune.

pub mod geometry;
pub mod model;
pub mod train;
