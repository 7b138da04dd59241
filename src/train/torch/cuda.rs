//! CUDA at run time: the same binary runs with and without it.

use tracing::debug;

/// Loads libtorch's CUDA library if there is one, so that libtorch finds the GPUs. The binary itself links only what a
/// CPU needs.
#[expect(
    unsafe_code,
    reason = "loading a library runs its constructors; this one is libtorch's own"
)]
pub fn load() {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: libtorch_cuda.so comes from the same wheel as the libtorch this binary runs on; its
    // constructors only register kernels.
    match unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_NOW | RTLD_GLOBAL) } {
        // Kernels are registered for the life of the process.
        Ok(library) => std::mem::forget(library),
        Err(error) => debug!("no CUDA: {error}"),
    }
}
