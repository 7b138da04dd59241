//! Deleting files that nobody needs: of jobs that ended long ago, and what a crash left behind.

mod collect;
mod policy;
mod recover;
