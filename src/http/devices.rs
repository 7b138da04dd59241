//! The devices that jobs can run on.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

/// A device that jobs can run on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Device")]
pub struct DeviceView {
    /// The device's ID, such as `cpu` or `cuda:0`.
    pub id: String,
    /// The model name that the hardware reports.
    pub name: String,
    /// Number of threads; absent for a GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
}

/// Lists the current devices. It is passed in because only libtorch knows which GPUs there are.
#[derive(Clone)]
pub struct DevicesView(pub Arc<dyn Fn() -> Vec<DeviceView> + Send + Sync>);

impl fmt::Debug for DevicesView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Devices")
    }
}
