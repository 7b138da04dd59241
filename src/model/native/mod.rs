//! The network on a CPU: every layer as this network needs it, so that a picture's maps stay in the caches, a pass
//! over memory does all that can be done in it, and nothing waits for a library's dispatch.
//!
//! Maps are rows of pixels of channels (NHWC), channels a multiple of eight, what goes into a block with a border of one
//! zero pixel. Results depend neither on the number of threads nor on which thread did what.

#![expect(
    clippy::inline_always,
    reason = "a kernel is one function, compiled once for each processor"
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
