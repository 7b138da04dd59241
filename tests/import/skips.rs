//! Tests that lack what they need are listed as skipped, and fail on CI.

use std::fs;
use std::process::{Command, Output};

const NAME: &str = "wider::the_wider_subset_is_imported_whole";

/// Runs a test that needs `../shared`, with that folder hidden.
fn run(configure: impl FnOnce(&mut Command) -> &mut Command) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", NAME]).env("BLAZETUNE_TEST_WITHOUT_SHARED", "1");
    command.env_remove("CI").env_remove("BLAZETUNE_TEST_SKIPS");
    configure(&mut command).output().unwrap()
}

#[test]
fn a_skipped_test_is_listed_with_the_reason_at_the_end_of_make_test() {
    let folder = tempfile::tempdir().unwrap();
    let skips = folder.path().join("skips");
    for expected in [1, 2] {
        assert!(run(|command| command.env("BLAZETUNE_TEST_SKIPS", &skips)).status.success());
        let line = format!("BLAZETUNE_TEST_WITHOUT_SHARED hides ../shared\t{NAME}\n");
        assert_eq!(fs::read_to_string(&skips).unwrap(), line.repeat(expected));
    }
}

#[test]
fn on_ci_a_test_that_would_be_skipped_fails() {
    let output = run(|command| command.env("CI", "1"));
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("CI checks everything, but BLAZETUNE_TEST_WITHOUT_SHARED"), "{text}");
}
