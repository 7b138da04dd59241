//! The loss: which anchors have to find which face, and what their outputs cost. Each part is written twice: for
//! libtorch's tensors, and for our own kernels.

mod constants;
pub mod native;
#[cfg(feature = "torch")]
pub mod torch;
