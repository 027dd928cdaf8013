//! `status.json`: the state of a run.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Result, write_json};

const STATUS: &str = "status.json";

/// The state of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    Queued,
    Running,
    Paused,
    Finished,
    Failed,
    Stopped,
}

/// `status.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub state: RunState,
    pub pid: u32,
    pub step: usize,
    pub total_steps: usize,
    /// RFC 3339, of the last write.
    pub heartbeat: String,
    pub exit_reason: Option<String>,
    /// What it does before its first step, such as loading the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
}

impl Status {
    /// What this process says of a run.
    pub fn now(state: RunState, step: usize, total_steps: usize, why: Option<String>) -> Self {
        Self {
            state,
            pid: std::process::id(),
            step,
            total_steps,
            heartbeat: jiff::Timestamp::now().to_string(),
            exit_reason: why,
            phase: None,
        }
    }

    /// That of the run in a folder, where it has one.
    pub fn read(run: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(run.join(STATUS)).ok()?).ok()
    }

    pub fn write(&self, run: &Path) -> Result<()> {
        write_json(&run.join(STATUS), self)
    }
}
