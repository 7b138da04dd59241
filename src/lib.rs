//! Blazetune.

pub mod geometry;
pub mod train;
