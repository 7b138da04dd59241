//! The network: its table of numbers, its forward pass, its anchors, BatchNorm in and out.

pub mod anchors;
pub mod cpu;
pub mod layout;
pub mod network;
pub mod runner;
pub mod tensors;
pub mod unfold;
