//! Readers of log files, one module a format. Each follows its file as it grows.

mod csv;
mod events;
mod graph;
mod jsonl;
mod number;
mod pattern;
mod pieces;
mod protobuf;
mod records;
mod role;
mod row;
mod table;
mod tailed;
mod tensors;
mod trainer_state;
mod wandb;
mod words;

use std::path::Path;

pub use csv::CsvFile;
pub use events::EventFile;
pub(crate) use jsonl::is_metrics_object;
pub use jsonl::{JsonLines, repaired, unrepaired};
pub use pattern::{Matches, Pattern, PatternError, PatternLog};
pub(crate) use table::{is_counted_table, is_metrics_table};
pub use tailed::{Format, Tailed};
pub use trainer_state::TrainerState;
pub use wandb::WandbFile;

use super::curves::Curves;
use super::series::CALENDAR;
use super::skipped::Skipped;
use super::tail::Grown;

/// Reads one log file of a run piece by piece. Disk access ([`Self::fetch`]) is separate from changes to the
/// curves ([`Self::parse`]), so that threads that draw the curves never wait for the disk.
pub trait Reader: Send + std::fmt::Debug {
    /// The file.
    fn path(&self) -> &Path;

    /// Reads a piece of the new data. After [`Grown::Some`], call [`Self::parse`] and then this again;
    /// [`Grown::Anew`] means that everything read from this file is void and that the next calls read
    /// it from the start.
    ///
    /// # Errors
    /// Those of opening and reading the file.
    fn fetch(&mut self) -> std::io::Result<Grown>;

    /// Parses the data fetched and adds it to the curves.
    fn parse(&mut self, into: &mut Curves);

    /// Treats an unterminated last line as complete, because the file will not grow any more.
    fn finish(&mut self) {}

    /// The lines, records and cells that are not used.
    fn skipped(&self) -> &Skipped;
}

/// Column names of the step.
const STEP_NAMES: &[&str] =
    &["step", "global_step", "_step", "trainer/global_step", "iteration", "iter"];

/// Column names of the Unix time in seconds.
const WALL_NAMES: &[&str] = &["wall_time", "_timestamp", "timestamp", "time"];

/// Column names of the seconds since the start.
const ELAPSED_NAMES: &[&str] = &["elapsed_s", "_runtime", "elapsed", "elapsed_time"];

/// The meaning of a column or key.
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
            _ if STEP_NAMES.contains(&name) => Self::Step,
            _ if WALL_NAMES.contains(&name) => Self::Wall,
            _ if ELAPSED_NAMES.contains(&name) => Self::Elapsed,
            _ => Self::Metric,
        }
    }
}

/// The numbers of one line: step, times and metrics.
#[derive(Debug, Default)]
struct Line {
    step: Option<f64>,
    wall: Option<f64>,
    elapsed: Option<f64>,
    metrics: Vec<(String, f64)>,
}

impl Line {
    fn put(&mut self, name: String, value: f64) {
        match Role::of(&name) {
            Role::Step if value.is_finite() => self.step = Some(value),
            // Small values of `time` are durations of a step, not Unix times.
            Role::Wall if value >= CALENDAR => self.wall = Some(value),
            Role::Elapsed => {
                self.elapsed = Some(value);
                self.metrics.push((name, value));
            }
            _ => self.metrics.push((name, value)),
        }
    }

    /// Adds the metrics to the curves. A line without a step gets the step `count`.
    fn push_into(self, curves: &mut Curves, count: u64) {
        let step = self.step.unwrap_or(count as f64);
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
    pub(crate) fn read_all(
        text: &str,
        reader: impl Fn(&Path) -> Box<dyn Reader>,
    ) -> (Curves, Skipped) {
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
        (curves, reader.skipped().clone())
    }
}
