//! Writes a chart to a file.

use std::fs::File;
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::drawing::Drawing;
use super::picture::{Ground, pixels, svg};
use crate::tui::panel::state::Panel;
use artgpt_runs::catalogue::EXPORT;
use artgpt_runs::{CALENDAR, RunSnapshot, XAxis};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Csv,
    Svg,
    Png,
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Svg => "svg",
            Self::Png => "png",
        }
    }
}

/// Size of an exported picture in pixels.
const SIZE: (u32, u32) = (1600, 900);
/// Columns of curve data in an exported picture.
const COLUMNS: usize = 1500;
/// Limit of the metric name in the file name, in characters.
const LONGEST: usize = 60;

/// The content of a chart, to be written by another thread.
#[derive(Debug)]
pub(crate) struct Export {
    metric: String,
    /// All metrics in the chart.
    metrics: Vec<String>,
    format: Format,
    runs: Vec<RunSnapshot>,
    axis: XAxis,
    /// The visible part of the axis.
    window: Option<RangeInclusive<f64>>,
    drawing: Option<Drawing>,
}

/// Exports are equal if they would write the same file.
impl PartialEq for Export {
    fn eq(&self, other: &Self) -> bool {
        let same_runs = self.runs.len() == other.runs.len()
            && self.runs.iter().zip(&other.runs).all(|(a, b)| Arc::ptr_eq(a, b));
        same_runs
            && (self.format, self.axis, &self.window) == (other.format, other.axis, &other.window)
            && (&self.metrics, &self.drawing) == (&other.metrics, &other.drawing)
    }
}

impl Export {
    pub(crate) fn new(panel: &Panel, metric: &str, format: Format) -> Self {
        Self {
            metric: metric.to_string(),
            metrics: panel.charted(metric).map(String::from).collect(),
            format,
            runs: panel.drawn().map(|i| panel.runs[i].run.clone()).collect(),
            axis: panel.charts.scale.axis,
            window: panel.seen(metric).map(|(low, high)| low..=high),
            drawing: Drawing::new(panel, metric, COLUMNS).filter(|_| format != Format::Csv),
        }
    }

    /// Writes a new file; returns a message that names it.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<String> {
        let (path, points) =
            write_new(folder, &self.metric, self.format.extension(), |mut file| {
                match (self.format, &self.drawing) {
                    (Format::Csv, _) => return self.write_points(file).map(Some),
                    (_, None) => return Err(io::Error::other("the chart has no values")),
                    (Format::Svg, Some(drawing)) => {
                        let text = svg(drawing, SIZE).map_err(io::Error::other)?;
                        file.write_all(text.as_bytes())?;
                    }
                    (Format::Png, Some(drawing)) => {
                        let image =
                            pixels(drawing, SIZE, Ground::White).map_err(io::Error::other)?;
                        let mut file = io::BufWriter::new(file);
                        image
                            .write_to(&mut file, image::ImageFormat::Png)
                            .map_err(io::Error::other)?;
                        file.flush()?;
                    }
                }
                Ok(None)
            })?;
        Ok(match points {
            Some(points) => format!("{points} points are in {}", path.display()),
            None => format!("the chart is in {}", path.display()),
        })
    }

    /// Writes one CSV row a point.
    fn write_points(&self, file: &File) -> io::Result<usize> {
        let mut writer = csv::Writer::from_writer(file);
        writer.write_record(["run", "metric", "step", "epoch", "wall_time", "value"])?;
        let mut points = 0;
        for (run, metric) in
            self.runs.iter().flat_map(|run| self.metrics.iter().map(move |metric| (run, metric)))
        {
            let clock = run.clock(self.axis);
            let Some((series, clock)) = run.curves.get(metric).zip(clock) else { continue };
            let Some(window) = &self.window else { continue };
            let (low, high) = (*window.start(), window.end().next_up());
            for at in series.within(clock, low, high) {
                let Some(point) = series.get(at) else { continue };
                let wall = Some(point.wall).filter(|wall| *wall >= CALENDAR);
                writer.write_record([
                    run.path.display().to_string(),
                    metric.clone(),
                    point.step.to_string(),
                    clock.epoch(point.step).map_or(String::new(), |epoch| epoch.to_string()),
                    wall.map_or(String::new(), |wall| wall.to_string()),
                    point.value.to_string(),
                ])?;
                points += 1;
            }
        }
        writer.flush()?;
        Ok(points)
    }
}

/// Creates and writes a new file named after `name`. Removes it if writing fails, so that no partial
/// file remains. Errors name the file.
pub(crate) fn write_new<T>(
    folder: &Path,
    name: &str,
    extension: &str,
    write: impl FnOnce(&File) -> io::Result<T>,
) -> io::Result<(PathBuf, T)> {
    let named =
        |path: &Path, e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
    let (path, file) = create(folder, name, extension).map_err(|e| named(folder, e))?;
    // A drawing library may panic on unusual data.
    let written = artgpt_base::panics::guarded(|| write(&file));
    let written = written.unwrap_or_else(|_| Err(io::Error::other("the chart cannot be drawn")));
    match written {
        Ok(told) => Ok((path, told)),
        Err(e) => {
            let _ = std::fs::remove_file(&path);
            Err(named(&path, e))
        }
    }
}

/// Never overwrites a file.
fn create(folder: &Path, name: &str, extension: &str) -> io::Result<(PathBuf, File)> {
    let plain = |c: char| if c.is_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = name.chars().map(plain).take(LONGEST).collect();
    let mut count = 1;
    loop {
        let path = folder.join(format!("{EXPORT}{name}-{count}.{extension}"));
        match File::create_new(&path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => count += 1,
            made => break Ok((path, made?)),
        }
    }
}
