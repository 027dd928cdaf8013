//! `marks.jsonl` of our own runs, while it grows.

use std::path::Path;

use super::tail::{Grown, Tail};
use artgpt_rundir::{MARKS, Mark};

#[derive(Debug)]
pub struct MarksReader {
    tail: Tail,
}

impl MarksReader {
    pub fn of(run: &Path) -> Self {
        Self { tail: Tail::new(&run.join(MARKS)) }
    }

    /// What was marked since the last look. Runs of other programs have none.
    pub fn read(&mut self) -> Vec<Mark> {
        let mut new = Vec::new();
        while let Ok(Grown::Some) = self.tail.read() {
            self.tail.lines(b'\n', |line| new.extend(serde_json::from_slice::<Mark>(line)));
        }
        new
    }
}
