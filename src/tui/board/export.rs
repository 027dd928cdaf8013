//! The points of a chart as a file.

use std::fs::File;
use std::io;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::PoisonError;

use super::state::Board;
use crate::runs::catalogue::EXPORT;
use crate::runs::{CALENDAR, Shared, XAxis};

/// What a chart shows, so that it can be written elsewhere.
pub struct Export {
    metric: String,
    runs: Vec<Shared>,
    axis: XAxis,
    /// As far as it is seen.
    window: Option<RangeInclusive<f64>>,
}

impl Export {
    pub fn of(board: &Board, metric: &str) -> Self {
        Self {
            metric: metric.to_string(),
            runs: board.drawn().map(|i| board.runs[i].run.clone()).collect(),
            axis: board.scale.axis,
            window: board.seen(metric).map(|(low, high)| low..=high),
        }
    }

    /// A line a point, in a new file; says which one.
    pub fn write(&self, folder: &Path) -> io::Result<String> {
        let plain = |c: char| if c.is_alphanumeric() || c == '-' { c } else { '_' };
        let name: String = self.metric.chars().map(plain).collect();
        let mut count = 1;
        // Nobody's file is written over.
        let (path, file) = loop {
            let path = folder.join(format!("{EXPORT}{name}-{count}.csv"));
            match File::create_new(&path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => count += 1,
                made => break (path, made?),
            }
        };
        let mut writer = csv::Writer::from_writer(file);
        writer.write_record(["run", "step", "wall_time", "value"])?;
        let mut points = 0;
        for run in &self.runs {
            let run = run.read().unwrap_or_else(PoisonError::into_inner);
            let clock = run.clock(self.axis);
            let Some((series, clock)) = run.curves.get(&self.metric).zip(clock) else {
                continue;
            };
            let Some(window) = &self.window else { continue };
            let (low, high) = (*window.start(), window.end().next_up());
            for at in series.within(clock, low, high) {
                let Some(point) = series.get(at) else { continue };
                let wall = Some(point.wall).filter(|wall| *wall >= CALENDAR);
                writer.write_record([
                    run.path.display().to_string(),
                    point.step.to_string(),
                    wall.map_or(String::new(), |wall| wall.to_string()),
                    point.value.to_string(),
                ])?;
                points += 1;
            }
        }
        writer.flush()?;
        Ok(format!("{points} points are in {}", path.display()))
    }
}
