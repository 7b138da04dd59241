//! Tells the linker where libtorch is, so that the binary runs from any directory.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=web/dist"); // Embedded in the binary.
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    if std::env::var_os("CARGO_FEATURE_TORCH").is_some() {
        link_libtorch(&root);
    }
    let weights = Path::new(&root).join(".deps/weights/face_detection_short_range.tflite");
    println!("cargo:rerun-if-changed={}", weights.display());
    assert!(weights.is_file(), "{} is missing: run `make setup` first", weights.display());
}

fn link_libtorch(root: &str) {
    let libtorch =
        std::env::var("LIBTORCH").unwrap_or_else(|_| format!("{root}/.deps/libtorch/torch"));
    // Try the installed copy next to the binary first, then the one that this build used.
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib/blazetune/torch/lib");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{libtorch}/lib");
}
