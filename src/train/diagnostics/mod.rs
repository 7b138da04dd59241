//! What an epoch of training looks like from inside: which faces got targets, how scores follow
//! overlap, where the loss comes from.

pub mod sheet;
#[cfg(test)]
mod tests;
pub mod watch;
