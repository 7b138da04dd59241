//! Where a job trains.

use crate::model::device::{Device, NeedsTorch};
use crate::protocol::train_spec::DeviceChoice;

/// The requested device is not there.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// No GPU of this number.
    #[error(
        "there is no GPU {wanted} here ({count} found); choose \"auto\" or \"cpu\", or install an NVIDIA driver and run \
         `make setup` again"
    )]
    Missing {
        /// The number that was requested.
        wanted: u8,
        /// How many GPUs there are.
        count: usize,
    },
    /// This build cannot use it.
    #[error(transparent)]
    NeedsTorch(#[from] NeedsTorch),
}

/// Makes libtorch find GPUs, if there are any; must come before any other use of them.
pub fn find_gpus() {
    #[cfg(feature = "torch")]
    super::torch::cuda::load();
}

/// Makes libtorch, if there is one, use this many CPU threads.
pub fn use_threads(threads: usize) {
    #[cfg(feature = "torch")]
    tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
    #[cfg(not(feature = "torch"))]
    let _ = threads; // Our own kernels run on the pool that they are called on.
}

/// Chooses the device: a GPU if there is one, unless told otherwise.
///
/// # Errors
///
/// [`DeviceError`].
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

/// GPUs that libtorch can use.
pub fn gpu_count() -> usize {
    #[cfg(feature = "torch")]
    let count = if tch::Cuda::is_available() { tch::Cuda::device_count() } else { 0 };
    #[cfg(not(feature = "torch"))]
    let count = 0;
    usize::try_from(count).unwrap_or(0)
}
