//! What a network finds, and how good that is.

pub mod average_precision;
pub mod detect;
pub mod suppression;
