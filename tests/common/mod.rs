//! What several test programs need.

use std::path::{Path, PathBuf};

/// Pictures and weights that are not ours to publish, where they lie beside the checkout.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let places = ["../shared", "../../shared"].map(|shared| root.join(shared).join(name));
    let found = places.into_iter().find(|place| place.exists());
    if found.is_none() {
        skip(&format!("../shared/{name} is not here"));
    }
    found
}

#[expect(clippy::print_stderr, reason = "a skipped test must say so")]
pub(crate) fn skip(reason: &str) {
    eprintln!("SKIPPED: {reason}");
}
