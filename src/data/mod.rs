//! Data sets.

pub mod resample;
