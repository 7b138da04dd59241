//! What jobs can run on.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

/// Something that jobs can run on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Device")]
pub struct DeviceView {
    /// `cpu`, `cuda:0` ….
    pub id: String,
    /// Its name, as it gives it.
    pub name: String,
    /// Threads of a CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
}

/// Lists the current devices; passed in, because only libtorch knows the GPUs.
#[derive(Clone)]
pub struct DevicesView(pub Arc<dyn Fn() -> Vec<DeviceView> + Send + Sync>);

impl fmt::Debug for DevicesView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Devices")
    }
}
