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

/// All finite points if there are few, plus one on either side so that lines leave the chart; minimum
/// and maximum of each column if there are many.
pub(crate) fn trace(series: &Series, frame: Frame) -> Vec<(f64, f64)> {
    let Frame { clock, low, high, columns } = frame;
    let inside = series.within(clock, low, high.next_up());
    if inside.len() <= 2 * columns {
        let around = inside.start.saturating_sub(1)..(inside.end + 1).min(series.len());
        return around
            .filter_map(|i| Some((series.x(i, clock)?, series.get(i)?.value)))
            .filter(|(_, y)| y.is_finite())
            .collect();
    }
    let width = (high - low) / columns as f64;
    let found = series.columns(clock, (low, high.next_up()), columns);
    found
        .into_iter()
        .enumerate()
        .filter_map(|(i, extremes)| Some((low + width * (i as f64 + 0.5), extremes?)))
        .flat_map(|(x, e)| [(x, e.min), (x, e.max)])
        .collect()
}

/// The bounds of the vertical axis, of logarithms if `scale.log` is set.
pub(crate) fn span(
    traces: &[&[(f64, f64)]],
    (low, high): (f64, f64),
    scale: Scale,
) -> Option<(f64, f64)> {
    let mut values: Vec<f64> = traces
        .iter()
        .flat_map(|trace| trace.iter())
        .filter(|(x, _)| (low..=high).contains(x))
        .filter_map(|(_, y)| height(*y, scale.log))
        .collect();
    values.sort_by(f64::total_cmp);
    let cut = if scale.clip { values.len() / 20 } else { 0 };
    let (bottom, top) = (*values.get(cut)?, *values.get(values.len() - 1 - cut)?);
    let margin = (top - bottom) * 0.05;
    // A flat curve is centred.
    let margin = if margin > 0.0 { margin } else { bottom.abs().max(1.0) * 0.05 };
    // No room below zero unless a value is negative.
    let low = bottom - margin;
    Some((if bottom >= 0.0 && !scale.log { low.max(0.0) } else { low }, top + margin))
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
        (0..count).for_each(|step| series.push(Point { step, wall: 0.0, value: value(step) }));
        series
    }

    fn frame(low: f64, high: f64, columns: usize) -> Frame<'static> {
        let clock = Clock { axis: XAxis::Step, began: 0.0, epochs: None };
        Frame { clock, low, high, columns }
    }

    #[test]
    fn few_points_are_exact_and_many_keep_their_peaks() {
        let few = trace(&series(10, |s| s as f64), frame(3.0, 5.0, 50));
        assert_eq!(few, [(2.0, 2.0), (3.0, 3.0), (4.0, 4.0), (5.0, 5.0), (6.0, 6.0)]);
        let long = series(100_000, |s| if s == 77_777 { 50.0 } else { (s % 3) as f64 });
        let many = trace(&long, frame(0.0, 99_999.0, 100));
        assert_eq!(many.len(), 200);
        assert_eq!(many.iter().map(|p| p.1).fold(0.0, f64::max), 50.0);
        assert!(trace(&Series::default(), frame(0.0, 1.0, 10)).is_empty());
    }

    #[test]
    fn the_vertical_axis_can_leave_out_what_lies_far_off() {
        let points: Vec<(f64, f64)> = (0..100)
            .map(|i| (f64::from(i), if i == 50 { 1000.0 } else { 1.0 + f64::from(i) / 100.0 }))
            .collect();
        let scale = Scale { axis: XAxis::Step, log: false, smoothing: 0.0, clip: false };
        let all = [points.as_slice()];
        let (_, top) = span(&all, (0.0, 99.0), scale).expect("has values");
        assert!(top > 1000.0);
        let (_, top) = span(&all, (0.0, 99.0), Scale { clip: true, ..scale }).expect("has values");
        assert!(top < 3.0);
        let (low, _) = span(&all, (0.0, 99.0), Scale { log: true, ..scale }).expect("has values");
        assert!(low < 0.0 && low > -1.0);
        assert_eq!(span(&[&[(0.0, -1.0)]], (0.0, 1.0), Scale { log: true, ..scale }), None);
        let flat = span(&[&[(0.0, 2.0)]], (0.0, 1.0), scale).expect("has values");
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
