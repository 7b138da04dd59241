//! The loss: assigns anchors to faces and computes the loss of their outputs. Each part exists twice: once for libtorch
//! and once for the native engine.

mod constants;
pub mod native;
#[cfg(feature = "torch")]
pub mod torch;
