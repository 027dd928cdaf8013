//! `metrics.jsonl`: the numbers of each step.

use serde::{Deserialize, Serialize};

use crate::ResourceUsage;

/// One line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    pub step: usize,
    /// Passes over the training paintings.
    pub epoch: f64,
    pub stage: String,
    /// `train` or `held_out`.
    pub split: String,
    pub loss: f64,
    pub lr: f64,
    /// Before clipping.
    pub grad_norm: f64,
    pub tokens_per_second: f64,
    pub samples_per_second: f64,
    pub elapsed_s: f64,
    /// Seconds since 1970; 0 in runs of earlier versions.
    #[serde(default)]
    pub wall_time: f64,
    /// Share of the step's time in which it waited for its views.
    #[serde(default)]
    pub data_share: f64,
    /// Largest resident memory of the process so far, bytes, where the system tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<u64>,
    /// Size of the update beside the size of the weights, over all that trains; every
    /// [`crate::LOOK_EVERY`] steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_ratio: Option<f64>,
    /// What the process used of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<ResourceUsage>,
    /// Share of closed questions the query tokens answer (align stage).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
}
