//! Numbers aligned to a cache line, so that no vector of eight crosses two.

use std::ops::{Deref, DerefMut};

/// Bytes of a cache line.
const LINE: usize = 64;
/// The most numbers to skip to reach the next cache line.
const SPARE: usize = LINE / size_of::<f32>();

/// A fixed number of `f32`.
#[derive(Debug)]
pub(super) struct Aligned {
    values: Vec<f32>,
    start: usize,
    length: usize,
}

impl Aligned {
    pub(super) fn zeros(length: usize) -> Self {
        let values = vec![0.0; length + SPARE];
        // Alignment may fail; then they are only slower.
        let start = values.as_ptr().align_offset(LINE).min(SPARE);
        Self { values, start, length }
    }

    /// The first `length` numbers; grows if there are fewer, which loses their values.
    pub(super) fn room(&mut self, length: usize) -> &mut [f32] {
        if self.length < length {
            *self = Self::zeros(length);
        }
        &mut self[..length]
    }
}

impl Default for Aligned {
    fn default() -> Self {
        Self::zeros(0)
    }
}

impl Clone for Aligned {
    fn clone(&self) -> Self {
        let mut copy = Self::zeros(self.length);
        copy.copy_from_slice(self);
        copy
    }
}

impl Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[self.start..self.start + self.length]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[self.start..self.start + self.length]
    }
}
