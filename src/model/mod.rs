//! The network: its layout, its anchors, and the code that runs it, in the native engine or in libtorch.

pub mod anchors;
pub mod device;
pub mod folding;
pub mod layout;
pub mod native;
pub mod numbers;
pub mod outputs;
pub mod runner;
pub mod slots;
pub mod tensors;
#[cfg(feature = "torch")]
pub mod torch;
