//! `status.json`: the state of a run.

use std::path::Path;

use artgpt_base::files::read_text;
use serde::{Deserialize, Serialize};

use crate::{Result, write_json};

pub(crate) const STATUS: &str = "status.json";

/// Limit on the file's bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The state of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// A job that has not started.
    Queued,
    /// A process trains it.
    Running,
    /// A job that the user paused; it resumes on request.
    Paused,
    /// All steps are done, or it stopped early.
    Finished,
    /// It ended with an error.
    Failed,
    /// It stopped on request; it resumes on request.
    Stopped,
}

/// `status.json`: the state of a run and its progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The state.
    pub state: RunState,
    /// The process that wrote the status.
    pub pid: u32,
    /// Steps done.
    pub step: usize,
    /// Steps of the whole run.
    pub total_steps: usize,
    /// Time of the last write, RFC 3339.
    pub heartbeat: String,
    /// Why it ended, if it did not finish.
    pub exit_reason: Option<String>,
    /// The phase before the first step, such as loading the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
}

impl Status {
    /// A status of this process and time.
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

    /// Reads the status of the run in a folder; `None` if it is missing or damaged.
    pub fn read(run: &Path) -> Option<Self> {
        serde_json::from_str(&read_text(&run.join(STATUS), MAX_BYTES).ok()?).ok()
    }

    /// Writes `status.json` of the run in a folder.
    ///
    /// # Errors
    /// [`crate::RunError::Io`].
    pub fn write(&self, run: &Path) -> Result<()> {
        write_json(&run.join(STATUS), self)
    }
}
