//! The native engine: the network on a CPU, with every layer written for this network, so that a picture's maps stay in
//! the caches, a pass over memory does everything that it can, and there is no library overhead.
//!
//! Maps are rows of pixels of channels (NHWC), channels a multiple of eight, what goes into a block with a border of
//! one zero pixel. Results depend neither on the number of threads nor on which thread did what.

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
