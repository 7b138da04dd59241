//! Many stalls of a GPU can be found on a CPU, too: the operations that hand a number from the device to the host.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use blazetune::model::device::Device;
use blazetune::model::layout::{INPUT_SIZE, SHORT};
use blazetune::protocol::train_spec::TrainSpec;
use blazetune::train::engine::Engine;
use blazetune::train::trainer::Trainer;
use blazetune::train::views::batch::Cutter;

use crate::{in_libtorch, pictures};

/// Operations that make the host wait for the device to catch up.
const WAITS: [&str; 5] = [
    "aten::_local_scalar_dense",
    "aten::nonzero",
    "aten::masked_select",
    "aten::_unique2",
    "aten::equal",
];
/// Environment variable: how many steps the watched process takes.
const STEPS: &str = "BLAZETUNE_TEST_STEPS";

#[test]
#[ignore = "the test below runs this in its own process and watches it"]
fn some_steps() {
    let steps: usize = std::env::var(STEPS).unwrap().parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let pictures = pictures(folder.path());
    let spec = TrainSpec { batch_size: 16, ..TrainSpec::default() };
    let engine = in_libtorch(&spec, &pictures);
    let rendering = engine.rendering();
    let mut trainer = Trainer::with(Box::new(engine), &spec, &pictures, &SHORT, Device::Cpu);
    let cutter = Cutter::new(&spec, &pictures, 1, INPUT_SIZE, rendering);
    for step in 0..steps {
        let batch = cutter.cut(&pictures.train[step..step + 16]);
        trainer.step_on(&batch, 1e-4);
    }
}

/// How often each operation was called.
fn operations(counter: &Path, steps: usize) -> BTreeMap<String, i64> {
    let file = counter.with_extension(format!("{steps}.txt"));
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "waits::some_steps", "--ignored"])
        .envs([(STEPS, steps.to_string())])
        .envs([("LD_PRELOAD", counter), ("COUNT_FILE", &file)])
        .output()
        .unwrap();
    let said = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(output.status.success(), "{}{}", said[0], said[1]);
    assert!(!said[1].contains("Warning"), "libtorch warns: {}", said[1]);
    let text = std::fs::read_to_string(&file).unwrap_or_else(|_| panic!("no count: {}", said[1]));
    let line = |line: &str| {
        let (name, count) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), count.parse().unwrap())
    };
    text.lines().map(line).collect()
}

fn counter(folder: &Path) -> PathBuf {
    let torch = PathBuf::from(std::env::var("LIBTORCH").unwrap());
    let library = folder.join("libcount.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/device/count.cpp");
    let compiled = Command::new("c++")
        .args(["-std=c++17", "-O1", "-shared", "-fPIC", source, "-o"])
        .arg(&library)
        .arg("-I")
        .arg(torch.join("include"))
        .arg("-L")
        .arg(torch.join("lib"))
        .args(["-ltorch_cpu", "-lc10"])
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    library
}

#[test]
fn no_step_makes_the_host_wait_for_the_device() {
    let folder = tempfile::tempdir().unwrap();
    let counter = counter(folder.path());
    let (few, more) = (operations(&counter, 2), operations(&counter, 6));
    let in_four_steps = |name: &str| {
        let of = |counts: &BTreeMap<String, i64>| counts.get(name).copied().unwrap_or(0);
        of(&more) - of(&few)
    };
    assert_eq!(in_four_steps("aten::convolution_backward"), 4 * 37, "the steps are counted");
    for name in WAITS {
        assert_eq!(in_four_steps(name), 0, "{name}");
    }
}
