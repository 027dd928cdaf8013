//! `checkpoints/step-N/state.json`: where the run stood.

use serde::{Deserialize, Serialize};

use crate::GuardState;

/// `checkpoints/step-N/state.json`: where the run stood. The data order follows from it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Position {
    pub step: usize,
    pub elapsed_s: f64,
    /// What the guard has seen so far.
    #[serde(default, rename = "watch")]
    pub guard: GuardState,
    /// The best validation so far, where the run may end early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<Best>,
}

/// A validation that no later one has bettered yet.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    pub step: usize,
    pub loss: f64,
    /// Validations since then.
    pub stale: usize,
}
