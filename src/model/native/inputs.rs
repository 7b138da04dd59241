//! Pictures as the engine reads them.

use super::shape::{INPUT_LENGTH, INPUT_ROW};
use crate::model::layout::INPUT_SIZE;

/// Numbers of a row of an input.
const ROW: usize = INPUT_SIZE * 3;

/// Some pictures of 128 × 128 RGB / 127.5 − 1, each within a border of zeros.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    values: Vec<f32>,
}

impl Inputs {
    /// All 0, a middle grey.
    pub fn zeros(count: usize) -> Self {
        Self { values: vec![0.0; count * INPUT_LENGTH] }
    }

    /// From `[N, 128, 128, 3]` bytes.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut inputs = Self::zeros(bytes.len() / (INPUT_SIZE * ROW));
        for (mut picture, bytes) in inputs.pictures_mut().zip(bytes.chunks_exact(INPUT_SIZE * ROW))
        {
            for (y, bytes) in bytes.chunks_exact(ROW).enumerate() {
                for (value, byte) in picture.row(y).iter_mut().zip(bytes) {
                    *value = f32::from(*byte) / 127.5 - 1.0;
                }
            }
        }
        inputs
    }

    /// How many pictures there are.
    pub fn count(&self) -> usize {
        self.values.len() / INPUT_LENGTH
    }

    /// Each picture, to write.
    pub fn pictures_mut(&mut self) -> impl Iterator<Item = InputPicture<'_>> {
        self.values.chunks_exact_mut(INPUT_LENGTH).map(InputPicture)
    }

    /// Row `y` of picture `index`: `[128, 3]`.
    pub fn row(&self, index: usize, y: usize) -> &[f32] {
        &self.picture(index)[start(y)..start(y) + ROW]
    }

    /// One picture with its border.
    pub(super) fn picture(&self, index: usize) -> &[f32] {
        &self.values[index * INPUT_LENGTH..(index + 1) * INPUT_LENGTH]
    }
}

/// One picture, to write.
#[derive(Debug)]
pub struct InputPicture<'a>(&'a mut [f32]);

impl InputPicture<'_> {
    /// Row `y`: `[128, 3]`.
    pub fn row(&mut self, y: usize) -> &mut [f32] {
        &mut self.0[start(y)..start(y) + ROW]
    }
}

fn start(y: usize) -> usize {
    ((y + 1) * INPUT_ROW + 1) * 3
}
