//! What an epoch of training looks like from inside: which faces got targets, how scores follow
//! overlap, where the loss comes from.

pub mod native;
pub mod sheet;
pub mod sums;
#[cfg(all(test, feature = "torch"))]
mod tests;
#[cfg(feature = "torch")]
pub mod torch;
