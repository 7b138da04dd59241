//! Where a job trains.

use tch::{Cuda, Device, Tensor};

use crate::protocol::train_spec::DeviceChoice;

/// The device that was asked for is not there.
#[derive(Debug, thiserror::Error)]
#[error(
    "there is no GPU {wanted} here ({count} found); choose \"auto\" or \"cpu\", or install an NVIDIA driver and run \
     `make setup` again"
)]
pub struct DeviceError {
    wanted: u8,
    count: i64,
}

/// A GPU where there is one, unless told otherwise.
///
/// # Errors
///
/// [`DeviceError`].
pub fn choose(choice: DeviceChoice) -> Result<Device, DeviceError> {
    let count = gpu_count();
    match choice {
        DeviceChoice::Cpu => Ok(Device::Cpu),
        DeviceChoice::Auto => Ok(if count > 0 { Device::Cuda(0) } else { Device::Cpu }),
        DeviceChoice::Cuda(wanted) if i64::from(wanted) < count => {
            Ok(Device::Cuda(usize::from(wanted)))
        }
        DeviceChoice::Cuda(wanted) => Err(DeviceError { wanted, count }),
    }
}

/// GPUs that libtorch can use.
pub fn gpu_count() -> i64 {
    if Cuda::is_available() { Cuda::device_count() } else { 0 }
}

/// A copy on `device` of what lies in memory; to a GPU through pinned memory, so that the host need not wait.
pub fn upload(tensor: &Tensor, device: Device) -> Tensor {
    match device {
        Device::Cpu => tensor.shallow_clone(),
        // Not `pin_memory`: libtorch 2.11 logs two deprecation warnings each time it is given a device, and tch always
        // gives one.
        _ => tensor.internal_pin_memory(device).to_device_(device, tensor.kind(), true, false),
    }
}

/// `cpu`, `cuda:0` ….
pub fn name(device: Device) -> String {
    match device {
        Device::Cuda(number) => format!("cuda:{number}"),
        _ => "cpu".to_owned(),
    }
}
