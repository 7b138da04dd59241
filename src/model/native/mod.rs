//! The native engine: runs and trains the network on a CPU. Every layer is written for this network. A picture's
//! feature maps stay in the caches, each pass over memory does as much work as possible, and no library adds overhead.
//!
//! Feature maps are NHWC, with the channels padded to a multiple of eight. A block's input has a border of one zero
//! pixel. Results depend neither on the number of threads nor on which thread did which work.

#![expect(
    clippy::inline_always,
    reason = "each kernel must compile to a single function per processor"
)]

mod aligned;
mod backward;
mod depthwise;
mod forward;
mod gemm;
mod gradients;
mod inference;
mod inputs;
mod layers;
mod measure;
mod orthogonal;
mod packed;
mod rows;
mod shape;
mod simd;
mod training;

pub use inference::Inference;
pub use inputs::{InputPicture, Inputs};
pub use measure::measure;
pub use orthogonal::newton_schulz;
pub use training::Training;
