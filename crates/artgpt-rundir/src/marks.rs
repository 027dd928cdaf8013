//! `marks.jsonl`: checkpoints, warnings, starts and ends, which charts show at their steps.

use std::path::Path;

use serde::{Deserialize, Serialize};

use artgpt_base::files::append_json_line;

/// The file of marks in a run's folder.
pub const MARKS: &str = "marks.jsonl";

/// Appends a mark to a run that no process has open. Ignores a mark that cannot be written.
pub fn note_mark(run: &Path, step: usize, kind: MarkKind, text: &str) {
    let mark = Mark { step, kind, text: text.to_string(), at: jiff::Timestamp::now() };
    let _ = append_json_line(&run.join(MARKS), &mark);
}

/// One line of `marks.jsonl`: an event at a step. A rollback keeps the marks of the steps that it
/// reverts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// The step, from 1; 0 before the first.
    pub step: usize,
    /// The kind of event.
    pub kind: MarkKind,
    /// What happened, for people.
    pub text: String,
    /// When it happened.
    pub at: jiff::Timestamp,
}

/// The kind of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    /// The run wrote a checkpoint.
    Checkpoint,
    /// Something is wrong.
    Warning,
    /// The run rolled back to a checkpoint.
    Rollback,
    /// The run starts, resumes or ends.
    Turn,
}

impl MarkKind {
    /// Whether the run needs attention.
    pub fn is_trouble(self) -> bool {
        matches!(self, Self::Warning | Self::Rollback)
    }
}
