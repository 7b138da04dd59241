//! Deletes files that are no longer needed: files of old jobs, and files that a crash left behind.

mod collect;
mod policy;
mod recover;
