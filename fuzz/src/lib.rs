//! The server's readers of weights and labels, included from its sources unchanged, with only those of their dependencies
//! that do without libtorch.

#![allow(dead_code, unused_imports, unreachable_pub, reason = "only the readers are called")]

pub mod data;
#[path = "../../src/geometry.rs"]
pub mod geometry;
#[path = "../../src/model/layout.rs"]
pub mod layout;
#[path = "../../src/protobuf.rs"]
pub mod protobuf;
#[path = "../../src/model/slots.rs"]
pub mod slots;
#[path = "../../src/model/tensors.rs"]
pub mod tensors;
#[path = "../../src/weights/mod.rs"]
pub mod weights;

/// The paths under which the readers import the network's tables.
pub mod model {
    pub use crate::layout as network;
    pub use crate::{layout, tensors};

    /// Only writers, which are not fuzzed, use anchors.
    pub mod anchors {
        /// None.
        pub fn centres() -> Vec<[f32; 2]> {
            Vec::new()
        }
    }
}
