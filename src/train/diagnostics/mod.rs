//! Diagnostics of an epoch: which faces have positive anchors, how scores relate to IoU, and where the loss comes from.

pub mod native;
pub mod sheet;
pub mod sums;
#[cfg(all(test, feature = "torch"))]
mod tests;
#[cfg(feature = "torch")]
pub mod torch;
