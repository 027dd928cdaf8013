//! `marks.jsonl`: checkpoints, warnings and turns that charts show at their steps.

use std::path::Path;

use serde::{Deserialize, Serialize};

use artgpt_base::files::append_json_line;

/// The file of marks in a run's folder.
pub const MARKS: &str = "marks.jsonl";

/// Notes what happened to a run that nobody has open; one that cannot be noted stops nothing.
pub fn note_mark(run: &Path, step: usize, kind: MarkKind, text: &str) {
    let mark = Mark { step, kind, text: text.to_string(), at: jiff::Timestamp::now() };
    let _ = append_json_line(&run.join(MARKS), &mark);
}

/// One line of `marks.jsonl`: something that happened at a step. Steps that a rollback takes back keep
/// theirs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    pub step: usize,
    pub kind: MarkKind,
    pub text: String,
    pub at: jiff::Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    Checkpoint,
    Warning,
    Rollback,
    /// It begins, goes on, or ends.
    Turn,
}

impl MarkKind {
    /// Whether somebody should look at the run.
    pub fn is_trouble(self) -> bool {
        matches!(self, Self::Warning | Self::Rollback)
    }
}
