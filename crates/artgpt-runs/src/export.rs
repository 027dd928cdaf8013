//! Curves as CSV: a row a step, a column a metric.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::io::Write;

use super::Curves;
use super::series::CALENDAR;

/// Bytes that are written at a time.
const BUFFER: usize = 1 << 16;

/// Steps in rising order. Where a metric has several points at one step, each has a row; `wall_time`
/// (seconds since 1970) is that of the row's first point, and empty where none is known. `named` is
/// applied to the metrics' names.
///
/// The time goes with the points and the bytes that are written, not with steps times metrics.
///
/// # Errors
/// Those of `out`.
pub fn csv(
    curves: &Curves,
    mut out: impl Write,
    named: impl Fn(&str) -> String,
) -> csv::Result<()> {
    let mut head = csv::Writer::from_writer(&mut out);
    let names = curves.iter().map(|(name, _)| named(name));
    head.write_record(["step".to_string(), "wall_time".to_string()].into_iter().chain(names))?;
    head.flush()?;
    drop(head);
    let all: Vec<_> = curves.iter().map(|(_, series)| series).collect();
    let mut places = vec![0; all.len()];
    let next = |metric: usize, place: usize| {
        Some(Reverse(Next { step: all[metric].get(place)?.step, metric }))
    };
    let mut heap: BinaryHeap<_> = (0..all.len()).filter_map(|metric| next(metric, 0)).collect();
    let (mut text, mut row) = (Vec::with_capacity(BUFFER), Vec::new());
    while let Some(Reverse(Next { step, .. })) = heap.peek().copied() {
        while let Some(Reverse(first)) = heap.peek().copied().filter(|first| first.0.step == step) {
            heap.pop();
            row.push(first.metric);
        }
        let points = || row.iter().filter_map(|at| Some((*at, all[*at].get(places[*at])?)));
        let wall = points().map(|(_, point)| point.wall).fold(f64::NAN, f64::min);
        write!(text, "{step},")?;
        if wall >= CALENDAR {
            write!(text, "{wall}")?;
        }
        // Columns in rising order, as the heap gives them.
        let mut column = 0;
        for (at, point) in points() {
            text.resize(text.len() + at + 1 - column, b',');
            write!(text, "{}", point.value)?;
            column = at + 1;
        }
        text.resize(text.len() + all.len() - column, b',');
        text.push(b'\n');
        for metric in row.drain(..) {
            places[metric] += 1;
            heap.extend(next(metric, places[metric]));
        }
        if text.len() >= BUFFER {
            out.write_all(&text)?;
            text.clear();
        }
    }
    out.write_all(&text)?;
    Ok(out.flush()?)
}

/// The next point of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Next {
    step: f64,
    metric: usize,
}

impl Eq for Next {}

impl Ord for Next {
    fn cmp(&self, other: &Self) -> Ordering {
        self.step.total_cmp(&other.step).then(self.metric.cmp(&other.metric))
    }
}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Point;

    #[test]
    fn what_is_exported_is_read_back_the_same() {
        let mut curves = Curves::default();
        let point = |step, wall, value| Point { step, wall, value };
        curves.push("loss", point(1.0, 2e9, 2.5));
        curves.push("loss", point(2.0, 2e9 + 0.5, f64::NAN));
        curves.push("a, \"b\"", point(2.0, f64::NAN, 0.1));
        let mut text = Vec::new();
        csv(&curves, &mut text, str::to_string).expect("writes");
        let text = String::from_utf8(text).expect("is text");
        assert_eq!(
            text,
            "step,wall_time,loss,\"a, \"\"b\"\"\"\n1,2000000000,2.5,\n2,2000000000.5,NaN,0.1\n"
        );
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("metrics.csv");
        std::fs::write(&path, text).expect("writes");
        let found = crate::catalogue::find(&path, false).pop().expect("a run");
        let run = crate::RunReader::whole(found, None);
        let last = run.curves.get("a, \"b\"").and_then(|s| s.last());
        assert_eq!(last.map(|p| (p.step, p.wall, p.value)), Some((2.0, 2e9 + 0.5, 0.1)));
    }

    #[test]
    fn each_of_several_points_at_one_step_has_a_row() {
        let mut curves = Curves::default();
        for (name, step, value) in [
            ("a", 0.0, 1.0),
            ("a", 0.0, 2.0),
            ("b", 0.0, 3.0),
            ("c", -0.5, f64::INFINITY),
            ("a", 1.5, 4.0),
        ] {
            curves.push(name, Point { step, wall: f64::NAN, value });
        }
        let mut text = Vec::new();
        csv(&curves, &mut text, str::to_uppercase).expect("writes");
        let text = String::from_utf8(text).expect("is text");
        assert_eq!(text, "step,wall_time,A,B,C\n-0.5,,,,inf\n0,,1,3,\n0,,2,,\n1.5,,4,,\n");
    }

    #[test]
    fn as_many_metrics_as_points_cost_no_more_than_what_is_written() {
        let mut curves = Curves::default();
        // Each step has a metric of its own.
        for step in 0..3_000 {
            curves.push(&format!("m{step}"), Point { step: step.into(), wall: 0.0, value: 1.0 });
        }
        let mut text = Vec::new();
        csv(&curves, &mut text, str::to_string).expect("writes");
        let rows = text.split(|b| *b == b'\n').filter(|row| !row.is_empty());
        let commas = rows.map(|row| row.iter().filter(|b| **b == b',').count());
        assert_eq!(commas.collect::<Vec<_>>(), [3_001; 3_001]);
    }
}
