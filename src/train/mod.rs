//! Fine-tuning.

pub mod events;
pub mod spec;
