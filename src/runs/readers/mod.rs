//! One file a format: what a training run wrote, read as it grows.

mod csv;
mod events;
mod jsonl;
mod pattern;
mod trainer_state;
mod wandb;

use std::path::Path;

pub use csv::CsvFile;
pub use events::EventFile;
pub use jsonl::JsonLines;
pub use pattern::{Pattern, PatternLog};
pub use trainer_state::TrainerState;
pub use wandb::WandbFile;

use super::curves::Curves;
use super::tail::Grown;

/// Reads one file of a run, a piece at a time.
pub trait Reader: Send + Sync + std::fmt::Debug {
    fn path(&self) -> &Path;

    /// Adds what has come since the last call. [`Grown::Some`] asks for another call;
    /// [`Grown::Anew`] says that all that came from this file is void, and that the next calls read
    /// it from its start.
    fn read(&mut self, into: &mut Curves) -> std::io::Result<Grown>;

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
            Role::Wall if value.is_finite() => self.wall = Some(value),
            Role::Elapsed => {
                self.elapsed = Some(value);
                self.metrics.push((name, value));
            }
            _ => self.metrics.push((name, value)),
        }
    }

    /// `count` is the step of a line that tells none, `began` when the file was begun.
    fn push_into(self, curves: &mut Curves, count: u64, began: f64) {
        let step = self.step.unwrap_or(count);
        let wall = self.wall.or(self.elapsed.map(|s| began + s)).unwrap_or(f64::NAN);
        for (name, value) in self.metrics {
            curves.push(&name, super::series::Point { step, wall, value });
        }
    }
}

/// When a file was made, seconds since 1970; elapsed times are counted from it.
fn made(path: &Path) -> f64 {
    let about = std::fs::metadata(path).ok();
    let made = about.and_then(|m| m.created().or_else(|_| m.modified()).ok());
    let since = made.and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
    since.map_or(f64::NAN, |t| t.as_secs_f64())
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
        while reader.read(&mut curves).expect("reads") == Grown::Some {}
        (curves, reader.skipped())
    }
}
