//! What jobs can run on.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// Something that jobs can run on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Device {
    /// `cpu`, `cuda:0` ….
    pub id: String,
    /// What it calls itself.
    pub name: String,
    /// Threads of a CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
}

/// Tells what there is now; given from above, because it takes libtorch to know.
#[derive(Clone)]
pub struct Devices(pub Arc<dyn Fn() -> Vec<Device> + Send + Sync>);

impl fmt::Debug for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Devices")
    }
}
