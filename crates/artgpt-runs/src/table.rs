//! The metrics of a run as a table.

use super::curves::Curves;
use artgpt_base::text::number;

/// A row a metric, after a head: name, points, last value, then minimum and maximum with their
/// steps.
pub fn table(curves: &Curves) -> Vec<[String; 7]> {
    let head = ["metric", "points", "last", "min", "at step", "max", "at step"];
    let told = |v: Option<f64>| v.map_or("-".into(), number);
    let step = |step: Option<u64>| step.map_or("-".into(), |step| step.to_string());
    let rows = curves.iter().map(|(name, series)| {
        let extremes = series.extremes(0..series.len());
        let steps = series.steps_of_extremes();
        [
            name.to_string(),
            series.len().to_string(),
            told(series.last().map(|p| p.value)),
            told(extremes.map(|e| e.min)),
            step(steps.map(|(least, _)| least)),
            told(extremes.map(|e| e.max)),
            step(steps.map(|(_, greatest)| greatest)),
        ]
    });
    std::iter::once(head.map(String::from)).chain(rows).collect()
}
