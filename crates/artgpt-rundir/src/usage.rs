//! What a run used of the machine.

use serde::{Deserialize, Serialize};

/// Of the process that trains, since the step before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ResourceUsage {
    /// Cores that it kept busy.
    pub cpu: f64,
    /// Resident bytes, where the system tells them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Share of the time in which the GPU ran a kernel of anybody's, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<f64>,
    /// Bytes of the GPU in use by anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_memory: Option<u64>,
}
