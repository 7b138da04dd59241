//! Importing archives: good ones, bad ones and hostile ones.

mod hostile;
mod pictures;
mod sets;
mod support;
mod wider;
