//! Prepares the next batch while a step runs. This gives work to the threads that the single-threaded parts of a step,
//! such as the optimizer, leave idle.

use super::batch::{Batch, Cutter};

/// An epoch's batches, each prepared while the previous one is in use.
#[derive(Debug)]
pub(in crate::train) struct Ahead<'a> {
    cutter: Cutter<'a>,
    /// Indices of each remaining batch's pictures.
    batches: std::vec::IntoIter<Vec<usize>>,
    next: Option<Batch>,
}

impl<'a> Ahead<'a> {
    pub(in crate::train) fn new(cutter: Cutter<'a>, batches: Vec<Vec<usize>>) -> Self {
        Self { cutter, batches: batches.into_iter(), next: None }
    }

    /// Calls `work` with the next batch while preparing the one after it. Returns `None` after the last batch.
    pub(in crate::train) fn with_next<T>(&mut self, work: impl FnOnce(Batch) -> T) -> Option<T> {
        let Self { cutter, batches, next } = self;
        let cutter = *cutter;
        let batch = match next.take() {
            Some(batch) => batch,
            None => cutter.cut(&batches.next()?),
        };
        let following = batches.next();
        rayon::in_place_scope(|scope| {
            if let Some(indices) = following {
                scope.spawn(move |_| *next = Some(cutter.cut(&indices)));
            }
            Some(work(batch))
        })
    }
}
