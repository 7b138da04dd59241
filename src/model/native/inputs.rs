//! Pictures in the native engine's input format.

use super::shape::{INPUT_LENGTH, INPUT_ROW};
use crate::model::layout::INPUT_SIZE;

/// Numbers in an input row, without the border.
const ROW: usize = INPUT_SIZE * 3;

/// Pictures of 128 × 128 pixels, RGB / 127.5 − 1, each with a border of zeros.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    values: Vec<f32>,
}

impl Inputs {
    /// Creates `count` pictures of zeros, which are mid-grey.
    pub fn zeros(count: usize) -> Self {
        Self { values: vec![0.0; count * INPUT_LENGTH] }
    }

    /// Converts `[N, 128, 128, 3]` bytes.
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

    /// Returns the number of pictures.
    pub fn count(&self) -> usize {
        self.values.len() / INPUT_LENGTH
    }

    /// Returns the writable pictures.
    pub fn pictures_mut(&mut self) -> impl Iterator<Item = InputPicture<'_>> {
        self.values.chunks_exact_mut(INPUT_LENGTH).map(InputPicture)
    }

    /// Returns row `y` of picture `index`: `[128, 3]`.
    pub fn row(&self, index: usize, y: usize) -> &[f32] {
        &self.picture(index)[start(y)..start(y) + ROW]
    }

    /// Returns one picture with its border.
    pub(super) fn picture(&self, index: usize) -> &[f32] {
        &self.values[index * INPUT_LENGTH..(index + 1) * INPUT_LENGTH]
    }
}

/// A writable picture.
#[derive(Debug)]
pub struct InputPicture<'a>(&'a mut [f32]);

impl InputPicture<'_> {
    /// Returns row `y`: `[128, 3]`.
    pub fn row(&mut self, y: usize) -> &mut [f32] {
        &mut self.0[start(y)..start(y) + ROW]
    }
}

fn start(y: usize) -> usize {
    ((y + 1) * INPUT_ROW + 1) * 3
}
