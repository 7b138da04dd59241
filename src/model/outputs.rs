//! The heads' outputs, in host memory.

use rayon::prelude::*;

use super::layout::{ANCHORS, COORDINATES, INPUT_SIZE};

/// The outputs for some pictures.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outputs {
    /// `[N, 896]`: each anchor's logit for a face.
    pub logits: Vec<f32>,
    /// `[N, 896, 16]`: x, y, w, h, then six keypoints x, y, in pixels of the input, relative to the anchor's centre.
    pub coordinates: Vec<f32>,
}

impl Outputs {
    /// Converts coordinates from pixels of an `input_size` input to pixels of an [`INPUT_SIZE`] input, the unit that
    /// training uses.
    #[must_use]
    pub fn rescaled(mut self, input_size: usize) -> Self {
        if input_size != INPUT_SIZE {
            let scale = INPUT_SIZE as f32 / input_size as f32;
            self.coordinates.iter_mut().for_each(|coordinate| *coordinate *= scale);
        }
        self
    }

    /// Borrows the outputs.
    pub fn as_ref(&self) -> OutputsRef<'_> {
        OutputsRef { logits: &self.logits, coordinates: &self.coordinates }
    }
}

/// The outputs for one or more pictures, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct OutputsRef<'a> {
    /// `[N, 896]`, as in [`Outputs`].
    pub logits: &'a [f32],
    /// `[N, 896, 16]`, as in [`Outputs`].
    pub coordinates: &'a [f32],
}

impl<'a> OutputsRef<'a> {
    /// Returns each picture's outputs.
    pub fn each(self) -> impl IndexedParallelIterator<Item = OutputsRef<'a>> {
        let coordinates = self.coordinates.par_chunks_exact(ANCHORS * COORDINATES);
        let logits = self.logits.par_chunks_exact(ANCHORS);
        logits.zip(coordinates).map(|(logits, coordinates)| OutputsRef { logits, coordinates })
    }

    /// Returns an anchor's 16 coordinates. Requires the outputs of a single picture.
    pub fn row(&self, anchor: usize) -> &'a [f32] {
        &self.coordinates[anchor * COORDINATES..][..COORDINATES]
    }
}
