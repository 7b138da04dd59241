//! A data set as training and validation use it.

use tch::{Device, Tensor};

use super::views::Source;
use crate::geometry::{Letterbox, Rect};

/// A data set's pictures as tensors, and what is in them.
#[derive(Debug)]
pub struct Pictures {
    /// `[N, 256, 256, 3]` bytes: what training views are cut from.
    pub cache: Tensor,
    /// `[N, 128, 128, 3]` bytes: each picture as a deployed model is fed it.
    pub inputs: Tensor,
    /// For each picture, in order.
    pub entries: Vec<Entry>,
    /// Which are trained on.
    pub train: Vec<usize>,
    /// Which are measured on.
    pub val: Vec<usize>,
}

/// One picture.
#[derive(Debug, Clone)]
pub struct Entry {
    /// In the cache.
    pub source: Source,
    /// Where it lies in the network's input.
    pub letterbox: Letterbox,
    /// Its faces, as fractions of the network's input.
    pub faces: Vec<Rect>,
    /// Path in the data set.
    pub name: String,
    /// Of the original, in pixels.
    pub width: u32,
    /// Of the original, in pixels.
    pub height: u32,
}

impl Pictures {
    /// The inputs of some pictures, on `device`.
    pub fn inputs_of(&self, indices: &[usize], device: Device) -> Tensor {
        crate::model::network::to_input(&super::views::gather(&self.inputs, indices, device))
    }
}
