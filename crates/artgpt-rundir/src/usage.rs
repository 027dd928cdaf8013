//! Resource usage of a run.

use serde::{Deserialize, Serialize};

/// Resource usage of the training process since the previous step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ResourceUsage {
    /// Mean number of busy cores.
    pub cpu: f64,
    /// Resident memory, bytes, if the system reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Share of the time in which the GPU ran a kernel of any process, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<f64>,
    /// GPU memory in use by all processes, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_memory: Option<u64>,
}
