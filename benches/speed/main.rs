//! Measures how fast everything around the training step is: import, epochs of growing data sets, memory, and detection
//! over HTTP, each next to its rival on the same machine in the same run.
//!
//! ```text
//! make bench                  # the training step first (benches/step.rs), then this; about five minutes
//! make bench QUICK=1          # about two
//! cargo bench --bench speed -- --quick detect    # or import, or training: only that part
//! ```
//!
//! Prints a table and writes `target/bench.json`. Asserts nothing, because machines differ and are busy.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a terminal"
)]

#[path = "../common/mod.rs"]
mod common;
mod import;
mod pictures;
mod serving;
mod table;
mod training;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use table::Table;

/// How much of each is measured.
struct Effort {
    /// One-megapixel pictures to import.
    imported: usize,
    /// Pictures in the data sets to train on.
    sets: &'static [usize],
    /// Batch sizes, tried on the second of these sets.
    batches: &'static [u32],
    /// Detection requests for each number of clients.
    requests: usize,
}

const FULL: Effort = Effort {
    imported: 600,
    sets: &[1000, 2000, 4000, 8000],
    batches: &[8, 16, 32, 64, 128],
    requests: 3000,
};
const QUICK: Effort =
    Effort { imported: 120, sets: &[500, 1000], batches: &[8, 64], requests: 600 };

fn main() {
    let is_quick = std::env::args().any(|argument| argument == "--quick");
    let effort = if is_quick { QUICK } else { FULL };
    let chosen = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let chosen: Vec<String> = chosen.collect();
    let is_chosen = |part: &str| chosen.is_empty() || chosen.iter().any(|chosen| chosen == part);
    let folder = tempfile::tempdir_in(root().join("target")).unwrap();
    let mut table = Table::default();

    let step = std::fs::read(root().join("target/bench/step.json")).ok();
    let step: Option<Value> = step.and_then(|text| serde_json::from_slice(&text).ok());
    if let Some(step) = &step {
        training::report_step(step, &mut table);
    }
    let mut part = |name, measure: fn(&Path, &Effort, &mut Table) -> Value| {
        is_chosen(name).then(|| measure(folder.path(), &effort, &mut table))
    };
    let import = part("import", import::measure);
    let detect = part("detect", serving::measure);
    let training = part("training", training::measure);

    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let found = json!({
        "quick": is_quick, "cores": cores, "step": step, "import": import, "detect": detect,
        "training": training, "table": table.to_json(),
    });
    let path = root().join("target/bench.json");
    std::fs::write(&path, serde_json::to_vec_pretty(&found).unwrap()).unwrap();
    println!("\nwritten to {}", path.display());
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What a part of `benches/rivals.py` measured; prints why and returns `None` if Python or its packages are missing.
fn rival(arguments: &[&str]) -> Option<Value> {
    let python: PathBuf = root().join(".deps/venv/bin/python");
    let output =
        Command::new(&python).arg(root().join("benches/rivals.py")).args(arguments).output();
    match output {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            serde_json::from_str(text.lines().last()?).ok()
        }
        Ok(output) => {
            eprintln!("no comparison: {}", String::from_utf8_lossy(&output.stderr));
            None
        }
        Err(error) => {
            eprintln!("no comparison: {}: {error}; run make setup-test", python.display());
            None
        }
    }
}
