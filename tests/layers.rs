//! Keeps dependencies between modules pointing downward, and each big library in its place.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules from the bottom up: the table in `docs/architecture.md`. A file may import its own
/// module and those of lower layers; modules on one layer do not know each other.
const LAYERS: &[&[&str]] = &[
    &["config", "disk", "geometry"],
    &["model", "data"],
    &["weights", "eval"],
    &["train"],
    &["store"],
    &["jobs"],
    &["http"],
    &["cli"],
    &["main"],
];

/// Paths that only some files may name, and the beginnings of those files' names.
const AT_HOME: &[(&str, &[&str])] = &[
    ("tch", &["model", "weights", "eval", "train"]),
    ("sqlx", &["store"]),
    ("axum", &["http"]),
    ("std::env", &["cli", "main", "model/cpu/simd"]), // Which kernels run is no setting of a server.
];

#[test]
fn imports_point_downward() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let wrong = violations(&src);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_wrong_import_or_an_unknown_module_is_found() {
    let src = tempfile::tempdir().unwrap();
    for folder in ["store", "data", "misc"] {
        fs::create_dir(src.path().join(folder)).unwrap();
    }
    let write = |name: &str, text: &str| fs::write(src.path().join(name), text).unwrap();
    write("lib.rs", "pub mod data;\npub mod store;\n");
    write("geometry.rs", "use crate::geometry_of::x;\nlet fetch = fetch::tch();\n");
    write("store/jobs.rs", "use crate::train::TrainSpec;\nuse crate::http::AppState;\n");
    write(
        "data/import.rs",
        "/// Not [`crate::http`].\nuse crate::model::anchors;\nuse tch::Tensor;\n",
    );
    write("data/cache.rs", "use crate::{config, jobs};\n");
    write("config.rs", "fn f() -> u8 { std::env::var(\"X\") }\n");
    write("misc/mod.rs", "");

    let expected = [
        "config.rs names std::env, which belongs in cli, main, model/cpu/simd",
        "data/cache.rs imports several modules in one line: `crate::{`",
        "data/import.rs imports model, which is not below it",
        "data/import.rs names tch, which belongs in model, weights, eval, train",
        "misc is in no layer of tests/layers.rs",
        "store/jobs.rs imports http, which is not below it",
    ];
    assert_eq!(violations(src.path()), expected);
}

fn violations(src: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in rust_files(src) {
        let name = file.strip_prefix(src).expect("found in src").to_string_lossy().into_owned();
        let module = name.split(['/', '.']).next().unwrap_or_default();
        if module == "lib" {
            continue;
        }
        let Some(own_layer) = LAYERS.iter().position(|layer| layer.contains(&module)) else {
            wrong.push(format!("{module} is in no layer of tests/layers.rs"));
            continue;
        };
        let code = without_comments(&fs::read_to_string(&file).expect("a readable file"));
        if code.contains("crate::{") {
            wrong.push(format!("{name} imports several modules in one line: `crate::{{`"));
        }
        for other in LAYERS[own_layer..].iter().copied().flatten() {
            if *other != module && names(&code, &format!("crate::{other}")) {
                wrong.push(format!("{name} imports {other}, which is not below it"));
            }
        }
        for (path, homes) in AT_HOME {
            if names(&code, path) && !homes.iter().any(|home| name.starts_with(home)) {
                wrong.push(format!("{name} names {path}, which belongs in {}", homes.join(", ")));
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    wrong
}

/// Whether `code` goes on from `path` (as in `tch::Tensor`), or imports it as it stands.
fn names(code: &str, path: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(path).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + path.len()..]);
        let imported = before.ends_with("use ") && !after.starts_with(is_word);
        (imported || after.starts_with("::"))
            && !before.ends_with(is_word)
            && !before.ends_with("::")
    })
}

fn without_comments(text: &str) -> String {
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    text.lines().filter(is_code).collect::<Vec<_>>().join("\n")
}

fn rust_files(src: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(src).into_iter();
    let files = entries.map(|entry| entry.expect("a readable folder").into_path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}
