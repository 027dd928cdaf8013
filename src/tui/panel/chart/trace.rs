//! Reduces a curve to the few points that a chart needs, and labels axes.

use super::state::Scale;
use artgpt_runs::{Clock, Series};

/// Part of the horizontal axis, divided into columns one dot wide.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    pub clock: Clock<'a>,
    pub low: f64,
    pub high: f64,
    pub columns: usize,
}

/// A curve as a chart needs it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Trace {
    /// Lines of points. Between two of them are values that cannot be drawn.
    pub segments: Vec<Vec<(f64, f64)>>,
    /// Where these values are.
    pub gaps: Vec<Gap>,
    /// The last segment goes on.
    is_open: bool,
}

/// Part of the horizontal axis with values that cannot be drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Gap {
    pub from: f64,
    pub to: f64,
    pub kind: GapKind,
}

/// Why values cannot be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GapKind {
    /// They are NaN.
    Nan,
    /// They are infinite.
    Above,
    /// They are minus infinity, or have no logarithm.
    Below,
}

impl GapKind {
    /// `None` if a value can be drawn.
    fn of(value: f64, log: bool) -> Option<Self> {
        match value {
            _ if value.is_nan() => Some(Self::Nan),
            f64::INFINITY => Some(Self::Above),
            f64::NEG_INFINITY => Some(Self::Below),
            _ => (log && value <= 0.0).then_some(Self::Below),
        }
    }
}

impl Trace {
    fn point(&mut self, x: f64, y: f64) {
        match self.segments.last_mut().filter(|_| self.is_open) {
            Some(segment) => segment.push((x, y)),
            None => self.segments.push(vec![(x, y)]),
        }
        self.is_open = true;
    }

    /// Ends the segment. A gap that touches the last one, or follows it, extends it.
    fn gap(&mut self, gap: Gap) {
        let follows = !self.is_open;
        match self.gaps.last_mut() {
            Some(last) if last.kind == gap.kind && (follows || gap.from <= last.to) => {
                last.to = gap.to;
            }
            _ => self.gaps.push(gap),
        }
        self.is_open = false;
    }
}

/// All points if there are few, plus one on either side so that lines leave the chart; minimum and
/// maximum of each column if there are many. `log` leaves out values that have no logarithm.
pub(crate) fn trace(series: &Series, frame: Frame, log: bool) -> Trace {
    let Frame { clock, low, high, columns } = frame;
    let inside = series.within(clock, low, high.next_up());
    let mut trace = Trace::default();
    if inside.len() <= 2 * columns {
        let around = inside.start.saturating_sub(1)..(inside.end + 1).min(series.len());
        for (x, point) in around.filter_map(|i| Some((series.x(i, clock)?, series.get(i)?))) {
            match GapKind::of(point.value, log) {
                None => trace.point(x, point.value),
                Some(kind) => trace.gap(Gap { from: x, to: x, kind }),
            }
        }
        return trace;
    }
    let width = (high - low) / columns as f64;
    let edge = |column: usize| low + width * column as f64;
    for (i, part) in series.columns(clock, (low, high.next_up()), columns).into_iter().enumerate() {
        let extremes = series.extremes(part.clone());
        // The first one speaks for all.
        let first = series.gaps(part).next().and_then(|gap| series.get(gap.start));
        let values = first.map(|point| point.value).into_iter().chain(extremes.map(|e| e.min));
        let kind = values.filter_map(|value| GapKind::of(value, log)).next();
        let gap = kind.map(|kind| Gap { from: edge(i), to: edge(i + 1), kind });
        gap.into_iter().for_each(|gap| trace.gap(gap));
        let ends = extremes.map(|e| [e.min, e.max]).into_iter().flatten();
        ends.filter(|y| GapKind::of(*y, log).is_none())
            .for_each(|y| trace.point(low + width * (i as f64 + 0.5), y));
        // The values in this column are on either side of the gap.
        trace.is_open &= gap.is_none();
    }
    trace
}

/// The largest bound of an axis: twice as much is still a number.
pub(crate) const LARGEST: f64 = f64::MAX / 8.0;

/// The bounds of the vertical axis, of logarithms if `scale.log` is set.
pub(crate) fn span(
    points: impl Iterator<Item = (f64, f64)>,
    (low, high): (f64, f64),
    scale: Scale,
) -> Option<(f64, f64)> {
    let mut values: Vec<f64> = points
        .filter(|(x, _)| (low..=high).contains(x))
        .filter_map(|(_, y)| height(y, scale.log))
        .collect();
    values.sort_by(f64::total_cmp);
    let cut = if scale.clip { values.len() / 20 } else { 0 };
    let (bottom, top) = (*values.get(cut)?, *values.get(values.len() - 1 - cut)?);
    let margin = (top - bottom) * 0.05;
    // A flat curve is centred.
    let margin = if margin > 0.0 { margin } else { bottom.abs().max(1.0) * 0.05 };
    // No room below zero unless a value is negative.
    let low = bottom - margin;
    let low = if bottom >= 0.0 && !scale.log { low.max(0.0) } else { low };
    Some((low.max(-LARGEST), (top + margin).min(LARGEST)))
}

/// The height of a value; `None` if it has no logarithm.
pub(crate) fn height(value: f64, log: bool) -> Option<f64> {
    let height = if log { value.log10() } else { value };
    height.is_finite().then_some(height)
}

/// An axis label: short, and distinct from its neighbour `step` away.
pub(crate) fn short(value: f64, step: f64) -> String {
    let (size, step) = (value.abs().max(step.abs()), step.abs());
    let digits = |ratio: f64| (-ratio.max(1e-9).log10().floor()).clamp(0.0, 6.0) as usize;
    let (unit, letter) = match size {
        _ if value == 0.0 => return "0".into(),
        _ if !(1e-3..1e12).contains(&size) => {
            let digits = digits(step / size).max(1);
            // A flat curve has no neighbours.
            let digits = if step / size < 1e-6 { 1 } else { digits };
            return format!("{value:.digits$e}");
        }
        1e9.. => (1e9, "G"),
        1e6.. => (1e6, "M"),
        1e4.. => (1e3, "k"),
        _ => (1.0, ""),
    };
    let digits = digits(step / unit);
    format!("{:.digits$}{letter}", value / unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use artgpt_runs::{Point, XAxis};

    fn series(count: u64, value: impl Fn(u64) -> f64) -> Series {
        let mut series = Series::default();
        (0..count).for_each(|step| {
            series.push(Point { step: step as f64, wall: 0.0, value: value(step) })
        });
        series
    }

    impl Trace {
        fn points(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
            self.segments.iter().flatten().copied()
        }
    }

    fn frame(low: f64, high: f64, columns: usize) -> Frame<'static> {
        let clock = Clock { axis: XAxis::Step, began: 0.0, epochs: None };
        Frame { clock, low, high, columns }
    }

    #[test]
    fn few_points_are_exact_and_many_keep_their_peaks() {
        let few = trace(&series(10, |s| s as f64), frame(3.0, 5.0, 50), false);
        assert_eq!(few.segments, [[(2.0, 2.0), (3.0, 3.0), (4.0, 4.0), (5.0, 5.0), (6.0, 6.0)]]);
        let long = series(100_000, |s| if s == 77_777 { 50.0 } else { (s % 3) as f64 });
        let many = trace(&long, frame(0.0, 99_999.0, 100), false);
        assert_eq!((many.segments.len(), many.segments[0].len(), many.gaps.len()), (1, 200, 0));
        assert_eq!(many.points().map(|p| p.1).fold(0.0, f64::max), 50.0);
        assert_eq!(trace(&Series::default(), frame(0.0, 1.0, 10), false), Trace::default());
    }

    /// A curve with these stretches of other values.
    fn broken(count: u64, gaps: &[(std::ops::Range<u64>, f64)]) -> Series {
        series(count, |step| {
            gaps.iter().find(|(gap, _)| gap.contains(&step)).map_or(1.0, |(_, value)| *value)
        })
    }

    #[test]
    fn no_line_crosses_values_that_are_not_finite() {
        let up = f64::INFINITY;
        let gaps = [(10..40, f64::NAN), (44..45, up), (46..47, f64::NAN), (48..50, -up)];
        let exact = trace(&broken(50, &gaps), frame(0.0, 49.0, 50), false);
        let lengths: Vec<_> = exact.segments.iter().map(|s| (s[0].0, s.len())).collect();
        assert_eq!(lengths, [(0.0, 10), (40.0, 4), (45.0, 1), (47.0, 1)]);
        let gap = |from, to, kind| Gap { from, to, kind };
        let expected = [
            gap(10.0, 39.0, GapKind::Nan),
            gap(44.0, 44.0, GapKind::Above),
            gap(46.0, 46.0, GapKind::Nan),
            gap(48.0, 49.0, GapKind::Below),
        ];
        assert_eq!(exact.gaps, expected);
    }

    #[test]
    fn gaps_survive_at_every_zoom() {
        // A wide one, a single point, and mixed values.
        let gaps = [(200_000..500_000, f64::NAN), (700_001..700_002, f64::INFINITY)];
        let long = series(1_000_000, |step| match step {
            800_000..900_000 if step % 7 == 0 => f64::NAN,
            _ => gaps.iter().find(|(gap, _)| gap.contains(&step)).map_or(1.0, |(_, value)| *value),
        });
        for columns in [40, 100, 333, 1500] {
            for (low, high) in [(0.0, 999_999.0), (150_000.0, 850_000.0), (600_000.0, 999_999.0)] {
                let found = trace(&long, frame(low, high, columns), false);
                let width = (high - low) / columns as f64;
                let crosses = |from: f64, to: f64| {
                    found.segments.iter().any(|segment| {
                        let (first, last) = (segment[0].0, segment[segment.len() - 1].0);
                        first < from && last > to
                    })
                };
                let marked = |x: f64, kind: GapKind| {
                    let at = |gap: &&Gap| gap.from <= x && x <= gap.to && gap.kind == kind;
                    found.gaps.iter().any(|gap| at(&gap))
                };
                assert!(!crosses(200_000.0 - width, 500_000.0 + width), "{low} {high} {columns}");
                if low < 200_000.0 {
                    assert!(marked(350_000.0, GapKind::Nan));
                    let empty = |x: f64| (200_000.0 + width..500_000.0 - width).contains(&x);
                    assert!(found.points().all(|(x, _)| !empty(x)), "{columns}");
                }
                assert!(marked(700_001.0, GapKind::Above), "{low} {high} {columns}");
                // The finite values between the others are drawn.
                let (from, to) = (800_000.0 + width, 850_000.0 - width);
                assert!(marked((from + to) / 2.0, GapKind::Nan));
                let drawn = found.points().filter(|(x, _)| (from..to).contains(x)).count();
                assert!(drawn + 2 >= 2 * ((to - from) / width) as usize, "{drawn} {columns}");
            }
        }
        // A single one among exact points.
        let near = trace(&long, frame(699_990.0, 700_010.0, 100), false);
        assert_eq!((near.segments.len(), near.gaps.len()), (2, 1));
    }

    #[test]
    fn values_without_a_logarithm_interrupt_a_logarithmic_chart() {
        let gaps = [(10..20, 0.0), (30..31, -5.0)];
        let exact = trace(&broken(50, &gaps), frame(0.0, 49.0, 50), true);
        let gap = |from, to| Gap { from, to, kind: GapKind::Below };
        assert_eq!((exact.segments.len(), exact.gaps), (3, vec![gap(10.0, 19.0), gap(30.0, 30.0)]));
        let long = broken(100_000, &[(20_000..60_000, 0.0), (80_000..80_001, -5.0)]);
        let many = trace(&long, frame(0.0, 99_999.0, 100), true);
        assert!(many.points().all(|(_, y)| y > 0.0));
        assert!(many.segments.iter().all(|s| s[0].0 > 20_000.0 || s[s.len() - 1].0 < 21_000.0));
        assert_eq!(many.gaps.len(), 2);
        assert_eq!(trace(&long, frame(0.0, 99_999.0, 100), false).gaps.len(), 0);
    }

    #[test]
    fn the_vertical_axis_can_leave_out_what_lies_far_off() {
        let points: Vec<(f64, f64)> = (0..100)
            .map(|i| (f64::from(i), if i == 50 { 1000.0 } else { 1.0 + f64::from(i) / 100.0 }))
            .collect();
        let scale = Scale { axis: XAxis::Step, log: false, smoothing: 0.0, clip: false };
        let span = |scale| span(points.iter().copied(), (0.0, 99.0), scale).expect("has values");
        let (_, top) = span(scale);
        assert!(top > 1000.0);
        let (_, top) = span(Scale { clip: true, ..scale });
        assert!(top < 3.0);
        let (low, _) = span(Scale { log: true, ..scale });
        assert!(low < 0.0 && low > -1.0);
        let one = |y, scale| super::span(std::iter::once((0.0, y)), (0.0, 1.0), scale);
        assert_eq!(one(-1.0, Scale { log: true, ..scale }), None);
        let wide = [(0.0, f64::MIN), (1.0, f64::MAX)].into_iter();
        let (low, high) = super::span(wide, (0.0, 1.0), scale).expect("has values");
        assert!((high - low).is_finite() && high > low);
        let flat = one(2.0, scale).expect("has values");
        assert!(flat.0 < 2.0 && flat.1 > 2.0);
    }

    #[test]
    fn labels_are_short() {
        let labels = [(0.0, 1.0), (0.25, 0.05), (1.5, 0.5), (12_345.0, 10.0), (3e-5, 1e-5)];
        let told = labels.map(|(value, step)| short(value, step));
        assert_eq!(told, ["0", "0.25", "1.5", "12.35k", "3.0e-5"]);
        // Neighbours are told apart, however large they are.
        let large = [(1.111e9, 1e6), (1.112e9, 1e6), (1.111e13, 1e10), (1.112e13, 1e10)];
        let told = large.map(|(value, step)| short(value, step));
        assert_eq!(told, ["1.111G", "1.112G", "1.1110e13", "1.1120e13"]);
    }
}
