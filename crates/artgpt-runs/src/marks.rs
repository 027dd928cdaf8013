//! Follows `marks.jsonl` of our own runs.

use std::path::Path;

use super::tail::{Grown, Tail};
use artgpt_rundir::{MARKS, Mark};

/// Reads new marks of a run.
#[derive(Debug)]
pub(crate) struct MarksReader {
    tail: Tail,
}

impl MarksReader {
    pub(crate) fn of(run: &Path) -> Self {
        Self { tail: Tail::new(&run.join(MARKS)) }
    }

    /// The marks since the last call. Runs of other programs have none.
    pub(crate) fn read(&mut self) -> Vec<Mark> {
        let mut new = Vec::new();
        while let Ok(Grown::Some) = self.tail.read() {
            self.tail.lines(b'\n', |line| new.extend(serde_json::from_slice::<Mark>(line)));
        }
        new
    }
}
