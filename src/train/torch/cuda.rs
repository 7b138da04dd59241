//! Loads CUDA at run time: the same binary runs with and without it.

use tracing::debug;

/// Loads libtorch's CUDA library if there is one, so that libtorch finds the GPUs. The binary itself links only the
/// libraries for the CPU.
#[expect(
    unsafe_code,
    reason = "loading a library runs its constructors; this library is part of libtorch"
)]
pub fn load() {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: libtorch_cuda.so comes from the same wheel as the binary's libtorch, and its constructors only register
    // kernels.
    match unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_NOW | RTLD_GLOBAL) } {
        // The registered kernels must stay loaded until the process ends.
        Ok(library) => std::mem::forget(library),
        Err(error) => debug!("CUDA is not available: {error}"),
    }
}
