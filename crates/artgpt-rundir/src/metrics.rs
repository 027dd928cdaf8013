//! `metrics.jsonl`: the metrics of each step.

use serde::{Deserialize, Serialize};

use crate::ResourceUsage;

/// One line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Steps done, from 1.
    pub step: usize,
    /// Passes over the training paintings.
    pub epoch: f64,
    /// [`crate::StageKind::name`].
    pub stage: String,
    /// `train` or `held_out`.
    pub split: String,
    /// Mean loss of the step.
    pub loss: f64,
    /// Learning rate of the language model's tensors.
    pub lr: f64,
    /// Global gradient norm before clipping.
    pub grad_norm: f64,
    /// Tokens of all processes per second.
    pub tokens_per_second: f64,
    /// Samples of all processes per second.
    pub samples_per_second: f64,
    /// Seconds that the run has taken, over all its starts.
    pub elapsed_s: f64,
    /// Seconds since 1970; 0 in runs of earlier versions.
    #[serde(default)]
    pub wall_time: f64,
    /// Share of the step's time spent waiting for its batches, 0 to 1.
    #[serde(default)]
    pub data_share: f64,
    /// Peak resident memory of the process so far, bytes, if the system reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<u64>,
    /// Norm of the update divided by the norm of the weights, over all trained tensors; every
    /// [`crate::LOOK_EVERY`] steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_ratio: Option<f64>,
    /// Resource usage of the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<ResourceUsage>,
    /// Share of closed questions that the query tokens answer (align stage), 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
}
