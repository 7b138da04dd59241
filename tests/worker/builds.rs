//! Compares the build without libtorch with the one that has it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use blazetune::protocol::folder::JobDir;
use serde_json::json;

use crate::{artifact, job, numbers, rows, run};

/// The binary of the other build; `make test-small` sets its path.
fn other_build() -> Option<PathBuf> {
    let path = std::env::var_os("BLAZETUNE_OTHER_BUILD").map(PathBuf::from);
    if path.is_none() {
        crate::common::skip("BLAZETUNE_OTHER_BUILD does not name the build with libtorch");
    }
    path
}

fn run_with(binary: &Path, dir: &JobDir) {
    let mut command = Command::new(binary);
    let status = command.arg("worker").arg(dir.path()).stdin(Stdio::null()).status().unwrap();
    assert!(status.success());
}

#[test]
fn the_same_seed_trains_the_same_bits_with_and_without_libtorch() {
    let Some(other) = other_build() else { return };
    let params =
        json!({"epochs": 2, "batch_size": 4, "accumulate_batches": 2, "seed": 3, "device": "cpu"});
    let (_one, small) = job(&params);
    let (_two, whole) = job(&params);
    run(&small);
    run_with(&other, &whole);
    assert_eq!(numbers(&rows(&small)), numbers(&rows(&whole)));
    for name in ["best.safetensors", "last.safetensors", "best.pth", "best.tflite"] {
        assert_eq!(artifact(&small, name), artifact(&whole, name), "{name}");
    }
}
