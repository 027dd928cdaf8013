//! The content of a chart, independent of how it is rendered.

use jiff::tz::TimeZone;
use ratatui::style::Color;

use super::trace::{Frame, Gap, LARGEST, height, short, span, trace};
use crate::tui::panel::state::Panel;
use artgpt_rundir::{Mark, MarkKind};
use artgpt_runs::{Clock, Run, Series, XAxis};

/// A chart of the shown runs over the visible part of the axis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Drawing {
    pub metric: String,
    /// The names of all its metrics.
    pub title: String,
    /// Back to front.
    pub lines: Vec<Line>,
    pub marks: Vec<(f64, MarkKind)>,
    pub axis: XAxis,
    /// For dates on the axis.
    pub zone: TimeZone,
    pub log: bool,
    /// Bounds of the horizontal axis.
    pub low: f64,
    pub high: f64,
    /// Bounds of the vertical axis; logarithms if `log` is set.
    pub bottom: f64,
    pub top: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub run: String,
    pub colour: Color,
    pub kind: LineKind,
    /// Its connected parts.
    pub segments: Vec<Vec<(f64, f64)>>,
    /// Where it has no finite values.
    pub gaps: Vec<Gap>,
}

impl Line {
    /// All points.
    pub(crate) fn points(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.segments.iter().flatten().copied()
    }
}

/// What a line shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineKind {
    Curve,
    /// The raw curve, behind its moving average.
    Raw,
    /// The same metric on held-out data.
    HeldOut,
}

impl Drawing {
    /// At most two points a column. `None` if there is nothing to draw.
    pub(crate) fn new(panel: &Panel, metric: &str, columns: usize) -> Option<Self> {
        let (log, axis) = (panel.charts.scale.log, panel.charts.scale.axis);
        let (low, high) = panel.seen(metric)?;
        let (low, high) = visible(low, high);
        let (mut raw, mut curves, mut marks) = (Vec::new(), Vec::new(), Vec::new());
        for i in panel.drawn() {
            let run = panel.run(i);
            let clock = run.clock(axis);
            let Some((series, clock)) = run.curves.get(metric).zip(clock) else { continue };
            let frame = Frame { clock, low, high, columns };
            let line = |series: &Series, kind| {
                let trace = trace(series, frame, log);
                Line {
                    run: run.title().unwrap_or(&run.name).to_string(),
                    colour: panel.runs[i].colour,
                    kind,
                    segments: trace.segments,
                    // The average over a curve has its gaps.
                    gaps: if kind == LineKind::Raw { Vec::new() } else { trace.gaps },
                }
            };
            for partner in panel.charted(metric).skip(1) {
                let held_out = run.curves.get(partner);
                curves.extend(held_out.map(|series| line(series, LineKind::HeldOut)));
            }
            match panel.charts.smoothed.get(&(i, metric.to_string())) {
                None => curves.push(line(series, LineKind::Curve)),
                Some(smoothed) => {
                    raw.push(line(series, LineKind::Raw));
                    curves.push(line(&smoothed.series, LineKind::Curve));
                }
            }
            // Among several charts only those of losses have marks.
            if panel.charts.open || metric.contains("loss") {
                let shown = run.marks.iter().filter(|m| m.kind != MarkKind::Turn);
                let placed = shown.filter_map(|m| Some((mark_x(run, m, clock)?, m.kind)));
                marks.extend(placed.filter(|(x, _)| (low..=high).contains(x)));
            }
        }
        let mut lines = raw;
        lines.append(&mut curves);
        let points = lines.iter().flat_map(Line::points);
        let (bottom, top) = span(points, (low, high), panel.charts.scale)?;
        for line in &mut lines {
            let segments = std::mem::take(&mut line.segments).into_iter().map(|points| {
                let placed = points.iter().filter_map(|(x, y)| Some((*x, height(*y, log)?)));
                within(placed.collect(), low, high)
            });
            line.segments = segments.filter(|segment| !segment.is_empty()).collect();
            line.gaps.retain(|gap| gap.to >= low && gap.from <= high);
            for gap in &mut line.gaps {
                (gap.from, gap.to) = (gap.from.max(low), gap.to.min(high));
            }
        }
        let title = panel.charted(metric).collect::<Vec<_>>().join(" + ");
        let (metric, axis) = (metric.to_string(), panel.charts.scale.axis);
        let zone = panel.zone.clone();
        Some(Self { metric, title, lines, marks, axis, zone, log, low, high, bottom, top })
    }

    /// The label at a height, distinct from the one a step below: on a logarithmic axis that one is
    /// nearer than the one above.
    pub(crate) fn label(&self, height: f64, step: f64) -> String {
        let value = self.value(height);
        short(value, value - self.value(height - step))
    }

    /// The value at a height.
    pub(crate) fn value(&self, height: f64) -> f64 {
        if self.log { 10f64.powf(height) } else { height }
    }
}

/// Bounds whose distance is a number. A single point still gets an axis around it.
fn visible(low: f64, high: f64) -> (f64, f64) {
    let (low, high) = (low.max(-LARGEST), high.min(LARGEST));
    // Among large numbers one is too little to tell two apart.
    if high > low { (low, high) } else { (low, low + low.abs().max(1e6) * 1e-6) }
}

/// Clips a line to the visible part, with points on the edges where it enters and leaves.
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

/// The position of a mark on the axis.
fn mark_x(run: &Run, mark: &Mark, clock: Clock) -> Option<f64> {
    let wall = mark.at.as_millisecond() as f64 / 1e3;
    match clock.axis {
        XAxis::Step => Some(mark.step as f64),
        XAxis::Epoch => clock.epoch(mark.step as f64),
        XAxis::Wall => Some(wall),
        XAxis::Relative => run.curves.began().map(|began| wall - began),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_clipped_to_the_edges() {
        let line = vec![(0.0, 0.0), (2.0, 2.0), (3.0, 5.0), (5.0, 1.0)];
        let seen = [(1.0, 1.0), (2.0, 2.0), (3.0, 5.0), (4.0, 3.0)];
        assert_eq!(within(line, 1.0, 4.0), seen);
        assert_eq!(visible(3.0, 3.0), (3.0, 4.0));
        for (low, high) in [(f64::MIN, f64::MAX), (1e300, 1e300), (-1e300, -1e300), (1e17, 1e17)] {
            let (low, high) = visible(low, high);
            assert!(high > low && (high - low).is_finite(), "{low} {high}");
        }
        // A line outside is dropped; one that crosses is kept.
        assert_eq!(within(vec![(0.0, 1.0)], 1.0, 4.0), []);
        assert_eq!(within(vec![(0.0, 0.0), (8.0, 8.0)], 1.0, 4.0), [(1.0, 1.0), (4.0, 4.0)]);
    }
}
