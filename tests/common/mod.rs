//! What several test programs need, and how a test is skipped if it is missing.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Names the file to which each skipped test adds a line, `reason<TAB>test`. `make test` sets it, and lists the skipped
/// tests at the end.
const SKIPS: &str = "BLAZETUNE_TEST_SKIPS";

/// Reports that this test is skipped, in whole or in part, and why.
///
/// # Panics
///
/// On CI, where every test must run.
#[expect(clippy::print_stderr, reason = "a skipped test must say so")]
pub(crate) fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "CI checks everything, but {reason}");
    eprintln!("SKIPPED: {reason}");
    let Some(skips) = std::env::var_os(SKIPS) else { return };
    let thread = std::thread::current();
    let line = format!("{reason}\t{}\n", thread.name().unwrap_or("a test"));
    let file = std::fs::File::options().create(true).append(true).open(skips);
    file.unwrap().write_all(line.as_bytes()).unwrap();
}

/// Finds a file in `../shared`, which holds pictures and weights that we may not publish. Returns `None`, and reports
/// the test as skipped, if the file is missing or `BLAZETUNE_TEST_WITHOUT_SHARED` is set.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("BLAZETUNE_TEST_WITHOUT_SHARED").is_some() {
        skip("BLAZETUNE_TEST_WITHOUT_SHARED hides ../shared");
        return None;
    }
    let places = ["../shared", "../../shared"].map(|shared| root.join(shared).join(name));
    let found = places.into_iter().find(|place| place.exists());
    if found.is_none() {
        skip(&format!("../shared/{name} is missing"));
    }
    found
}

/// The Python interpreter of the environment that `make setup-test` creates.
pub(crate) fn python() -> Option<PathBuf> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".deps/venv/bin/python");
    if python.exists() {
        return Some(python);
    }
    skip(".deps/venv is missing; `make setup-test` creates it with Python 3.10, 3.11 or 3.12");
    None
}

/// Returns whether this user can mount a small disk, in a mount namespace that `unshare -rm` creates.
pub(crate) fn can_mount() -> bool {
    let can = Command::new("unshare").args(["-rm", "true"]).stderr(Stdio::null()).status();
    let can = can.is_ok_and(|status| status.success());
    if !can {
        skip("`unshare -rm` is not allowed here, so there is no small disk to fill");
    }
    can
}
