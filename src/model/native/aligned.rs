//! Numbers aligned to a cache line, so that no vector of eight spans two lines.

use std::ops::{Deref, DerefMut};

/// Bytes of a cache line.
const LINE: usize = 64;
/// Upper bound on the numbers to skip before the next cache line.
const SPARE: usize = LINE / size_of::<f32>();

/// A fixed number of aligned `f32`.
#[derive(Debug)]
pub(super) struct Aligned {
    values: Vec<f32>,
    start: usize,
    length: usize,
}

impl Aligned {
    pub(super) fn zeros(length: usize) -> Self {
        let values = vec![0.0; length + SPARE];
        // `align_offset` may fail. Unaligned numbers only slow the kernels down.
        let start = values.as_ptr().align_offset(LINE).min(SPARE);
        Self { values, start, length }
    }

    /// Returns the first `length` numbers. If there are fewer, replaces all of them with zeros.
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
