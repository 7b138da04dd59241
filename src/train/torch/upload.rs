//! Copies from host memory to a device.

use tch::{Device, Tensor};

/// Copies a tensor from host memory to `device`. A copy to a GPU goes through pinned memory, so that the host does not
/// wait.
pub fn upload(tensor: &Tensor, device: Device) -> Tensor {
    match device {
        Device::Cpu => tensor.shallow_clone(),
        // Not `pin_memory`: libtorch 2.11 logs two deprecation warnings whenever it gets a device argument, and tch
        // always passes one.
        _ => tensor.internal_pin_memory(device).to_device_(device, tensor.kind(), true, false),
    }
}
