//! Dependencies between modules point downward, each big library stays in its place, and no files import each other in
//! a circle.

#![expect(
    clippy::unwrap_used,
    clippy::needless_range_loop,
    reason = "a failed unwrap fails the test; indices suit a matrix"
)]

mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use imports::{SourceFile, read};

/// Modules from the bottom up: the table in `docs/architecture.md`. A file may import its own
/// module and those of lower layers; modules on one layer do not import each other.
const LAYERS: &[&[&str]] = &[
    &["config", "disk", "error", "geometry", "protobuf", "time"],
    &["model", "data"],
    &["protocol", "weights", "eval", "sample"],
    &["store", "train"],
    &["worker"],
    &["jobs"],
    &["http"],
    &["cli"],
    &["main"],
];

/// Lower modules that a module still must not import: the server's half and the worker's share only `protocol`.
const STRANGERS: &[(&str, &[&str])] = &[
    ("worker", &["store"]),
    ("jobs", &["train", "worker"]),
    ("http", &["train", "worker"]),
    (
        "train",
        &[
            "protocol::control",
            "protocol::events",
            "protocol::folder",
            "protocol::job_spec",
            "protocol::log",
        ],
    ),
];

/// Paths that only some files may name, with the prefixes of those files' names.
const AT_HOME: &[(&str, &[&str])] = &[
    // All behind the feature `torch`.
    (
        "tch",
        &[
            "model/device",
            "model/runner",
            "model/torch",
            "train/device",
            "train/diagnostics/tests",
            "train/diagnostics/torch",
            "train/loss/native/tests",
            "train/loss/torch",
            "train/torch",
            "train/views/torch",
            "worker/panics", // For a test of a real libtorch panic.
        ],
    ),
    ("sqlx", &["store"]),
    ("axum", &["http"]),
    ("std::env", &["cli", "main", "model/native/simd"]), // The choice of kernels is not a server setting.
];

#[test]
fn imports_point_downward() {
    let wrong = violations(&src());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Exempt from the rule against circles, because the parts of a drawn head refer to each other.
const TANGLED: &str = "sample/";

#[test]
fn no_files_import_each_other_in_a_circle() {
    let files = read(&src()).into_iter().filter(|file| !file.name.starts_with(TANGLED));
    let circles = circles(&files.collect::<Vec<_>>());
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

#[test]
fn a_wrong_import_or_an_unknown_module_is_found() {
    let src = tempfile::tempdir().unwrap();
    write(
        src.path(),
        &[
            ("lib.rs", "pub mod data;\npub mod store;\n"),
            ("geometry.rs", "use crate::geometry_of::x;\nfn f() { let fetch = fetch::tch(); }\n"),
            ("store/jobs.rs", "use crate::train::TrainSpec;\nuse crate::http::AppState;\n"),
            (
                "data/import.rs",
                "/// Not [`crate::http`].\nuse crate::model::x;\nuse tch::Tensor;\n",
            ),
            ("data/cache.rs", "use crate::{config, jobs};\n"),
            ("config.rs", "fn f() -> u8 { std::env::var(\"X\") }\n"),
            ("disk.rs", "use std::{env, fs};\nfn f() { env::args(); }\n"),
            ("time.rs", "use std::env as surroundings;\n"),
            ("model/deep/er.rs", "fn f() { super::super::super::store::open() }\n"),
            ("eval/mod.rs", "fn f() { println!(\"{}\", crate::jobs::LIMIT) }\n"),
            ("worker/run.rs", "use crate::store;\n"),
            ("worker/train.rs", "use crate::{protocol, store::jobs};\n"),
            ("train/step.rs", "use crate::protocol::{events, schedule};\n"),
            ("misc/mod.rs", ""),
            ("jobs/extend.rs", "use crate::worker::checkpoint;\n"),
            ("http/mix.rs", "fn f() { crate::train::mixing::choose() }\n"),
        ],
    );
    let expected = [
        "config.rs names std::env, which belongs in cli, main, model/native/simd",
        "data/cache.rs imports jobs, which is not below it",
        "data/import.rs imports model, which is not below it",
        concat!(
            "data/import.rs names tch, which belongs in model/device, model/runner, model/torch, train/device, ",
            "train/diagnostics/tests, train/diagnostics/torch, train/loss/native/tests, train/loss/torch, ",
            "train/torch, train/views/torch, worker/panics"
        ),
        "disk.rs names std::env, which belongs in cli, main, model/native/simd",
        "eval/mod.rs imports jobs, which is not below it",
        "http/mix.rs imports train, which http must not import",
        "jobs/extend.rs imports worker, which jobs must not import",
        "misc is in no layer of tests/layers.rs",
        "model/deep/er.rs imports store, which is not below it",
        "store/jobs.rs imports http, which is not below it",
        "store/jobs.rs imports train, which is not below it",
        "time.rs names std::env, which belongs in cli, main, model/native/simd",
        "train/step.rs imports protocol::events, which train must not import",
        "worker/run.rs imports store, which worker must not import",
        "worker/train.rs imports store, which worker must not import",
    ];
    assert_eq!(violations(src.path()), expected);
}

#[test]
fn a_circle_of_files_is_found_but_a_parent_and_its_child_are_not_one() {
    let src = tempfile::tempdir().unwrap();
    write(
        src.path(),
        &[
            ("jobs/mod.rs", "mod a;\nmod b;\nmod c;\nuse self::a::A;\npub struct Jobs;\n"),
            ("jobs/a.rs", "use super::{Jobs, b};\n"),
            ("jobs/b.rs", "fn f() { super::c::go() }\n"),
            ("jobs/c.rs", "use super::b;\nfn f() { b::go() }\n"),
        ],
    );
    assert_eq!(circles(&read(src.path())), ["jobs/b.rs, jobs/c.rs"]);
}

fn src() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn write(src: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = src.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

fn violations(src: &Path) -> Vec<String> {
    let mut wrong = BTreeSet::new();
    for file in read(src) {
        let SourceFile { name, module, own, foreign } = &file;
        let Some(room) = module.first() else { continue };
        let Some(own_layer) = LAYERS.iter().position(|layer| layer.contains(&room.as_str())) else {
            wrong.insert(format!("{room} is in no layer of tests/layers.rs"));
            continue;
        };
        let above: Vec<&str> = LAYERS[own_layer..].iter().copied().flatten().copied().collect();
        for path in own {
            let other = path[0].as_str();
            if other != room && above.contains(&other) {
                wrong.insert(format!("{name} imports {other}, which is not below it"));
            }
        }
        let strangers = STRANGERS.iter().filter(|(who, _)| who == room);
        for stranger in strangers.flat_map(|(_, strangers)| *strangers) {
            if own.iter().any(|path| begins(path, stranger)) {
                wrong.insert(format!("{name} imports {stranger}, which {room} must not import"));
            }
        }
        for (path, homes) in AT_HOME {
            let is_named = foreign.iter().any(|named| begins(named, path));
            if is_named && !homes.iter().any(|home| name.starts_with(home)) {
                wrong.insert(format!("{name} names {path}, which belongs in {}", homes.join(", ")));
            }
        }
    }
    wrong.into_iter().collect()
}

fn begins(path: &[String], with: &str) -> bool {
    let with: Vec<&str> = with.split("::").collect();
    path.len() >= with.len() && path.iter().zip(with).all(|(a, b)| a == b)
}

/// Groups of files that import each other in a circle. A parent module and its child may.
fn circles(files: &[SourceFile]) -> Vec<String> {
    let by_module: BTreeMap<&[String], usize> =
        files.iter().enumerate().map(|(at, file)| (file.module.as_slice(), at)).collect();
    let owner = |path: &[String]| {
        (1..=path.len()).rev().find_map(|length| by_module.get(&path[..length]).copied())
    };
    let is_family = |a: &SourceFile, b: &SourceFile| {
        a.module.starts_with(&b.module) || b.module.starts_with(&a.module)
    };
    let mut reach = vec![vec![false; files.len()]; files.len()];
    for (from, file) in files.iter().enumerate() {
        for to in file.own.iter().filter_map(|path| owner(path)) {
            reach[from][to] |= !is_family(file, &files[to]);
        }
    }
    for middle in 0..files.len() {
        for from in 0..files.len() {
            if reach[from][middle] {
                for to in 0..files.len() {
                    reach[from][to] |= reach[middle][to];
                }
            }
        }
    }
    let mut circles = BTreeSet::new();
    for from in 0..files.len() {
        let members: Vec<&str> = (0..files.len())
            .filter(|&to| reach[from][to] && reach[to][from])
            .map(|to| files[to].name.as_str())
            .collect();
        if !members.is_empty() {
            circles.insert(members.join(", "));
        }
    }
    circles.into_iter().collect()
}
