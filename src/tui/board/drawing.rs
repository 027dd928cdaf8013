//! What one chart shows, apart from how it is drawn.

use ratatui::style::Color;

use super::state::Board;
use super::trace::{Frame, height, short, span, trace};
use artgpt_rundir::{Mark, MarkKind};
use artgpt_runs::{Clock, Run, XAxis};

/// A chart of the runs that are shown, over the stretch that is seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawing {
    pub metric: String,
    /// All that stand in it.
    pub title: String,
    /// What lies behind comes first.
    pub lines: Vec<Line>,
    pub marks: Vec<(f64, MarkKind)>,
    pub axis: XAxis,
    pub log: bool,
    /// Of the horizontal axis.
    pub low: f64,
    pub high: f64,
    /// Of the vertical axis, after the logarithm where there is one.
    pub bottom: f64,
    pub top: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub run: String,
    pub colour: Color,
    pub kind: Kind,
    pub points: Vec<(f64, f64)>,
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Curve,
    /// The raw curve behind its average.
    Behind,
    /// The same metric on held-out data.
    HeldOut,
}

impl Drawing {
    /// At most two points a column. `None` where there is nothing to draw.
    pub fn of(board: &Board, metric: &str, columns: usize) -> Option<Self> {
        let (low, high) = board.seen(metric)?;
        // One point alone still has a chart around it.
        let high = if high > low { high } else { low + 1.0 };
        let (mut lines, mut behind) = (Vec::new(), Vec::new());
        let mut marks = Vec::new();
        for i in board.drawn() {
            let run = board.run(i);
            let clock = run.clock(board.scale.axis);
            let Some((raw, clock)) = run.curves.get(metric).zip(clock) else { continue };
            let frame = Frame { clock, low, high, columns };
            let line = |points, kind| Line {
                run: run.title().unwrap_or(&run.name).to_string(),
                colour: board.runs[i].colour,
                kind,
                points,
            };
            for partner in board.charted(metric).skip(1) {
                let held_out = run.curves.get(partner).map(|series| trace(series, frame));
                lines.extend(held_out.map(|points| line(points, Kind::HeldOut)));
            }
            match board.smoothed.get(&(i, metric.to_string())) {
                None => lines.push(line(trace(raw, frame), Kind::Curve)),
                Some(smoothed) => {
                    behind.push(line(trace(raw, frame), Kind::Behind));
                    lines.push(line(trace(&smoothed.series, frame), Kind::Curve));
                }
            }
            // Among many charts those of losses have the marks.
            if !board.open && !metric.contains("loss") {
                continue;
            }
            let told = run.marks.iter().filter(|m| m.kind != MarkKind::Turn);
            let seen = told.filter_map(|m| Some((place(&run, m, clock)?, m.kind)));
            marks.extend(seen.filter(|(x, _)| (low..=high).contains(x)));
        }
        behind.append(&mut lines);
        let points: Vec<_> = behind.iter().map(|line| line.points.as_slice()).collect();
        let (bottom, top) = span(&points, (low, high), board.scale)?;
        let log = board.scale.log;
        for line in &mut behind {
            let placed = line.points.iter().filter_map(|(x, y)| Some((*x, height(*y, log)?)));
            line.points = within(placed.collect(), low, high);
        }
        let title = board.charted(metric).collect::<Vec<_>>().join(" + ");
        let (metric, axis, lines) = (metric.to_string(), board.scale.axis, behind);
        Some(Self { metric, title, lines, marks, axis, log, low, high, bottom, top })
    }

    /// What stands at a height, told apart from what stands a step below: on a logarithmic axis that
    /// one is nearer than the one above.
    pub fn label(&self, height: f64, step: f64) -> String {
        let value = self.value(height);
        short(value, value - self.value(height - step))
    }

    /// What stands at a height.
    pub fn value(&self, height: f64) -> f64 {
        if self.log { 10f64.powf(height) } else { height }
    }
}

/// A line as far as it is seen: where it enters and leaves it ends at the edge.
fn within(points: Vec<(f64, f64)>, low: f64, high: f64) -> Vec<(f64, f64)> {
    let is_in = |(x, _): &(f64, f64)| (low..=high).contains(x);
    if points.iter().all(is_in) {
        return points;
    }
    let at =
        |a: (f64, f64), b: (f64, f64), x: f64| (x, a.1 + (b.1 - a.1) * (x - a.0) / (b.0 - a.0));
    let mut out = Vec::with_capacity(points.len());
    for (i, point) in points.iter().enumerate() {
        if let Some(before) = i.checked_sub(1).map(|i| points[i]) {
            for edge in [low, high] {
                if (before.0 < edge && edge < point.0) || (point.0 < edge && edge < before.0) {
                    out.push(at(before, *point, edge));
                }
            }
        }
        out.extend(is_in(point).then_some(*point));
    }
    out
}

/// Where a mark stands on the axis.
pub fn place(run: &Run, mark: &Mark, clock: Clock) -> Option<f64> {
    let wall = mark.at.as_millisecond() as f64 / 1e3;
    match clock.axis {
        XAxis::Step => Some(mark.step as f64),
        XAxis::Epoch => clock.epoch(mark.step as u64),
        XAxis::Wall => Some(wall),
        XAxis::Relative => run.curves.began().map(|began| wall - began),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_the_edges() {
        let line = vec![(0.0, 0.0), (2.0, 2.0), (3.0, 5.0), (5.0, 1.0)];
        let seen = [(1.0, 1.0), (2.0, 2.0), (3.0, 5.0), (4.0, 3.0)];
        assert_eq!(within(line, 1.0, 4.0), seen);
        // One that ended before is not seen, and one across is.
        assert_eq!(within(vec![(0.0, 1.0)], 1.0, 4.0), []);
        assert_eq!(within(vec![(0.0, 0.0), (8.0, 8.0)], 1.0, 4.0), [(1.0, 1.0), (4.0, 4.0)]);
    }
}
