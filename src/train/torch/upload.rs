//! Copies from memory to a device.

use tch::{Device, Tensor};

/// Copies from memory to `device`; to a GPU through pinned memory, so that the host need not wait.
pub fn upload(tensor: &Tensor, device: Device) -> Tensor {
    match device {
        Device::Cpu => tensor.shallow_clone(),
        // Not `pin_memory`: libtorch 2.11 logs two deprecation warnings each time it is given a device, and tch always
        // gives one.
        _ => tensor.internal_pin_memory(device).to_device_(device, tensor.kind(), true, false),
    }
}
