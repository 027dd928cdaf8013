//! The metrics of a run as a table.

use super::curves::Curves;

/// A row a metric, after a head: name, points, last, least and greatest value.
pub fn table(curves: &Curves) -> Vec<[String; 5]> {
    let head = ["metric", "points", "last", "least", "greatest"].map(String::from);
    let number = |v: Option<f64>| v.map_or("-".into(), |v| format!("{v:.6}"));
    let rows = curves.iter().map(|(name, series)| {
        let extremes = series.extremes(0..series.len());
        [
            name.to_string(),
            series.len().to_string(),
            number(series.last().map(|p| p.value)),
            number(extremes.map(|e| e.min)),
            number(extremes.map(|e| e.max)),
        ]
    });
    std::iter::once(head).chain(rows).collect()
}
