//! The network.

pub mod layout;
pub mod tensors;
