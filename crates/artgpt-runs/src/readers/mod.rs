//! One file a format: what a training run wrote, read as it grows.

mod csv;
mod events;
mod graph;
mod jsonl;
mod pattern;
mod protobuf;
mod tailed;
mod tensors;
mod trainer_state;
mod wandb;

use std::path::Path;

pub use csv::CsvFile;
pub use events::EventFile;
pub use jsonl::{JsonLines, repaired, unrepaired};
pub use pattern::{Matches, Pattern, PatternLog};
pub use tailed::{Format, Tailed};
pub use trainer_state::TrainerState;
pub use wandb::WandbFile;

use super::curves::Curves;
use super::series::CALENDAR;
use super::tail::Grown;

/// Reads one file of a run, a piece at a time: from the disk, and then into curves that others look
/// at, who must not wait for the disk.
pub trait Reader: Send + std::fmt::Debug {
    fn path(&self) -> &Path;

    /// Fetches a piece of what has come since the last call. [`Grown::Some`] asks for
    /// [`Self::parse`] and another call; [`Grown::Anew`] says that all that came from this file is
    /// void, and that the next calls read it from its start.
    fn fetch(&mut self) -> std::io::Result<Grown>;

    /// Adds what was fetched.
    fn parse(&mut self, into: &mut Curves);

    /// Nothing more comes: a last line that has no end is one.
    fn finish(&mut self) {}

    /// Lines or records that could not be understood.
    fn skipped(&self) -> usize;
}

/// Names under which programs log the step.
const STEP: &[&str] = &["step", "global_step", "_step", "trainer/global_step", "iteration", "iter"];

/// Names under which programs log seconds since 1970.
const WALL: &[&str] = &["wall_time", "_timestamp", "timestamp", "time"];

/// Names under which programs log seconds since the start.
const ELAPSED: &[&str] = &["elapsed_s", "_runtime", "elapsed", "elapsed_time"];

/// What a column or key means beside being a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Step,
    Wall,
    Elapsed,
    Metric,
}

impl Role {
    fn of(name: &str) -> Self {
        let name = name.trim();
        match name {
            _ if STEP.contains(&name) => Self::Step,
            _ if WALL.contains(&name) => Self::Wall,
            _ if ELAPSED.contains(&name) => Self::Elapsed,
            _ => Self::Metric,
        }
    }
}

/// The numbers of one line: where they stand, and the metrics.
#[derive(Debug, Default)]
struct Line {
    step: Option<u64>,
    wall: Option<f64>,
    elapsed: Option<f64>,
    metrics: Vec<(String, f64)>,
}

impl Line {
    fn put(&mut self, name: String, value: f64) {
        match Role::of(&name) {
            Role::Step if value >= 0.0 && value < u64::MAX as f64 => self.step = Some(value as u64),
            // Some call the seconds of a step their time.
            Role::Wall if value >= CALENDAR => self.wall = Some(value),
            Role::Elapsed => {
                self.elapsed = Some(value);
                self.metrics.push((name, value));
            }
            _ => self.metrics.push((name, value)),
        }
    }

    /// `count` is the step of a line that tells none.
    fn push_into(self, curves: &mut Curves, count: u64) {
        let step = self.step.unwrap_or(count);
        let wall = self.wall.or(self.elapsed).unwrap_or(f64::NAN);
        for (name, value) in self.metrics {
            curves.push(&name, super::series::Point { step, wall, value });
        }
    }
}

#[cfg(test)]
mod testing {
    use super::*;

    /// All of a file, and how many of its lines were skipped.
    pub fn read_all(text: &str, reader: impl Fn(&Path) -> Box<dyn Reader>) -> (Curves, usize) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("file");
        std::fs::write(&path, text).expect("writes");
        let mut reader = reader(&path);
        let mut curves = Curves::default();
        while reader.fetch().expect("reads") == Grown::Some {
            reader.parse(&mut curves);
        }
        reader.finish();
        reader.parse(&mut curves);
        (curves, reader.skipped())
    }
}
