//! What several test programs need.

use std::path::{Path, PathBuf};

/// Pictures and weights that are not ours to publish, where they lie beside the checkout. With
/// `BLAZETUNE_TEST_WITHOUT_SHARED` set, tests run as they do where nothing lies there.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("BLAZETUNE_TEST_WITHOUT_SHARED").is_some() {
        skip("told to do without ../shared");
        return None;
    }
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
