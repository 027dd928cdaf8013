//! A run's metrics as a table.

use super::curves::Curves;
use super::series::Series;
use artgpt_base::text::number;

/// The names of the columns; the last one is empty where all values are finite.
pub fn table_head(curves: &Curves) -> [String; 8] {
    let any = curves.iter().any(|(_, series)| series.not_finite() > 0);
    let not_finite = if any { "not finite" } else { "" };
    let head = ["metric", "points", "last", "min", "at step", "max", "at step", not_finite];
    head.map(String::from)
}

/// The row of one metric: name, number of points, last value, min and max of the finite values with
/// their steps, and the number of the other values.
pub fn table_row(name: &str, series: &Series) -> [String; 8] {
    let value = |v: Option<f64>| v.map_or("-".into(), number);
    let step = |step: Option<f64>| step.map_or("-".into(), |step| step.to_string());
    let extremes = series.extremes(0..series.len());
    let steps = series.steps_of_extremes();
    let not_finite = Some(series.not_finite()).filter(|count| *count > 0);
    [
        name.to_string(),
        series.len().to_string(),
        value(series.last().map(|p| p.value)),
        value(extremes.map(|e| e.min)),
        step(steps.map(|(min, _)| min)),
        value(extremes.map(|e| e.max)),
        step(steps.map(|(_, max)| max)),
        not_finite.map_or(String::new(), |count| count.to_string()),
    ]
}
