//! The heads' outputs, in plain memory.

use rayon::prelude::*;

use super::layout::{ANCHORS, COORDINATES, INPUT_SIZE};

/// The outputs for some pictures.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outputs {
    /// `[N, 896]`: logits of a face being there.
    pub logits: Vec<f32>,
    /// `[N, 896, 16]`: x, y, w, h, then six keypoints x, y, in pixels of the input, relative to the anchor's centre.
    pub coordinates: Vec<f32>,
}

impl Outputs {
    /// With coordinates in pixels of [`INPUT_SIZE`], in which training measures, from a network whose input has
    /// `input_size`.
    #[must_use]
    pub fn rescaled(mut self, input_size: usize) -> Self {
        if input_size != INPUT_SIZE {
            let scale = INPUT_SIZE as f32 / input_size as f32;
            self.coordinates.iter_mut().for_each(|coordinate| *coordinate *= scale);
        }
        self
    }

    /// The same, borrowed.
    pub fn as_ref(&self) -> OutputsRef<'_> {
        OutputsRef { logits: &self.logits, coordinates: &self.coordinates }
    }
}

/// The outputs for one picture or several, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct OutputsRef<'a> {
    /// `[N, 896]`, as in [`Outputs`].
    pub logits: &'a [f32],
    /// `[N, 896, 16]`, as in [`Outputs`].
    pub coordinates: &'a [f32],
}

impl<'a> OutputsRef<'a> {
    /// The outputs for each picture.
    pub fn each(self) -> impl IndexedParallelIterator<Item = OutputsRef<'a>> {
        let coordinates = self.coordinates.par_chunks_exact(ANCHORS * COORDINATES);
        let logits = self.logits.par_chunks_exact(ANCHORS);
        logits.zip(coordinates).map(|(logits, coordinates)| OutputsRef { logits, coordinates })
    }

    /// The 16 coordinates of an anchor of one picture.
    pub fn row(&self, anchor: usize) -> &'a [f32] {
        &self.coordinates[anchor * COORDINATES..][..COORDINATES]
    }
}
