//! The loss: which anchors are assigned to which face, and the loss of their outputs. Each part is written twice: for
//! libtorch's tensors, and for the native engine.

mod constants;
pub mod native;
#[cfg(feature = "torch")]
pub mod torch;
