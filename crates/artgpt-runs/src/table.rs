//! A run's metrics as a table.

use super::curves::Curves;
use artgpt_base::text::number;

/// A header and one row for each metric: name, number of points, last value, min and max with their steps.
pub fn table(curves: &Curves) -> Vec<[String; 7]> {
    let head = ["metric", "points", "last", "min", "at step", "max", "at step"];
    let value = |v: Option<f64>| v.map_or("-".into(), number);
    let step = |step: Option<f64>| step.map_or("-".into(), |step| step.to_string());
    let rows = curves.iter().map(|(name, series)| {
        let extremes = series.extremes(0..series.len());
        let steps = series.steps_of_extremes();
        [
            name.to_string(),
            series.len().to_string(),
            value(series.last().map(|p| p.value)),
            value(extremes.map(|e| e.min)),
            step(steps.map(|(min, _)| min)),
            value(extremes.map(|e| e.max)),
            step(steps.map(|(_, max)| max)),
        ]
    });
    std::iter::once(head.map(String::from)).chain(rows).collect()
}
