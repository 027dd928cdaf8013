//! `checkpoints/step-N/state.json`: the position of a run.

use serde::{Deserialize, Serialize};

use crate::GuardState;

/// `checkpoints/step-N/state.json`: the position of a run. It determines the order of the data.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Position {
    /// Steps done.
    pub step: usize,
    /// Seconds that the run has taken.
    pub elapsed_s: f64,
    /// The guard's running mean and counts.
    #[serde(default, rename = "watch")]
    pub guard: GuardState,
    /// The best validation so far, with early stopping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<Best>,
}

/// The best validation so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// The step after which it was.
    pub step: usize,
    /// Its loss.
    pub loss: f64,
    /// Validations since then.
    pub stale: usize,
}
