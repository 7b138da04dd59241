//! Devices of this machine that jobs can run on.

use blazetune::http::DeviceView;
use blazetune::train::device::gpu_count;

/// Lists every GPU: `cuda:0` ….
pub(crate) fn gpus() -> Vec<String> {
    (0..gpu_count()).map(|number| format!("cuda:{number}")).collect()
}

/// Lists every device, starting with the CPU.
pub(crate) fn all() -> Vec<DeviceView> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = DeviceView { id: "cpu".to_owned(), name: cpu_name(), threads: Some(threads) };
    let gpu = |id| DeviceView { id, name: "NVIDIA GPU".to_owned(), threads: None };
    std::iter::once(cpu).chain(gpus().into_iter().map(gpu)).collect()
}

fn cpu_name() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find_map(|line| line.strip_prefix("model name"));
    let name = line.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim());
    name.unwrap_or("CPU").to_owned()
}
