//! Chooses the device that a job trains on.

use crate::model::device::{Device, NeedsTorch};
use crate::protocol::train_spec::DeviceChoice;

/// The requested device cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// There is no GPU with this number.
    #[error(
        "there is no GPU {wanted} ({count} found); choose \"auto\" or \"cpu\", or install an NVIDIA driver and run \
         `make setup` again"
    )]
    Missing {
        /// The number that was requested.
        wanted: u8,
        /// Number of GPUs found.
        count: usize,
    },
    /// This build cannot use the device.
    #[error(transparent)]
    NeedsTorch(#[from] NeedsTorch),
}

/// Lets libtorch find the GPUs, if there are any. Must be called before any other use of the GPUs.
pub fn find_gpus() {
    #[cfg(feature = "torch")]
    super::torch::cuda::load();
}

/// Sets libtorch's number of CPU threads, if the build has libtorch.
pub fn use_threads(threads: usize) {
    #[cfg(feature = "torch")]
    tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
    #[cfg(not(feature = "torch"))]
    let _ = threads; // The native kernels run on the thread pool that calls them.
}

/// Chooses the device. `auto` is the first GPU, or the CPU if there is no GPU.
///
/// # Errors
///
/// [`DeviceError`] if the chosen device cannot be used.
pub fn choose(choice: DeviceChoice) -> Result<Device, DeviceError> {
    let count = gpu_count();
    match choice {
        DeviceChoice::Cpu => Ok(Device::Cpu),
        DeviceChoice::Auto => Ok(if count > 0 { Device::Cuda(0) } else { Device::Cpu }),
        DeviceChoice::Cuda(wanted) if usize::from(wanted) < count => {
            Ok(Device::Cuda(usize::from(wanted)))
        }
        DeviceChoice::Cuda(_) if cfg!(not(feature = "torch")) => Err(NeedsTorch("a GPU").into()),
        DeviceChoice::Cuda(wanted) => Err(DeviceError::Missing { wanted, count }),
    }
}

/// Returns the number of GPUs that libtorch can use.
pub fn gpu_count() -> usize {
    #[cfg(feature = "torch")]
    let count = if tch::Cuda::is_available() { tch::Cuda::device_count() } else { 0 };
    #[cfg(not(feature = "torch"))]
    let count = 0;
    usize::try_from(count).unwrap_or(0)
}
