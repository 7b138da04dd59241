//! The `blazetune` command.
fn main() {}
