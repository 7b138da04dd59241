//! The next batch, prepared while a step runs: where one thread is enough for that, as for the optimizer, others have
//! something to do.

use super::batch::{Cutter, Prepared};

/// An epoch's batches, one after the other.
pub(in crate::train) struct Ahead<'a, I> {
    cutter: Cutter<'a>,
    /// Which pictures each has.
    batches: I,
    next: Option<Prepared>,
}

impl<'a, I: Iterator<Item = &'a [usize]>> Ahead<'a, I> {
    pub(in crate::train) fn new(cutter: Cutter<'a>, batches: I) -> Self {
        Self { cutter, batches, next: None }
    }

    /// Works on the next batch while the one after it is prepared; `None` after the last.
    pub(in crate::train) fn with_next<T>(&mut self, work: impl FnOnce(Prepared) -> T) -> Option<T> {
        let Self { cutter, batches, next } = self;
        let cutter = *cutter;
        let prepared = match next.take() {
            Some(prepared) => prepared,
            None => cutter.prepare(batches.next()?),
        };
        let following = batches.next();
        rayon::in_place_scope(|scope| {
            if let Some(indices) = following {
                scope.spawn(move |_| *next = Some(cutter.prepare(indices)));
            }
            Some(work(prepared))
        })
    }
}
