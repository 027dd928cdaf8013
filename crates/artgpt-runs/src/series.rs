//! One metric of one run: its points in order, with the minimum and maximum of whole blocks, so that
//! drawing takes the same time however many points there are.

use serde::{Deserialize, Serialize};
use std::ops::Range;

use super::chunks::Chunks;
use super::column::{CHUNK, Steps, Values};
use super::gaps::Gaps;

/// The horizontal axis of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum XAxis {
    /// By step.
    #[default]
    Step,
    /// Seconds since the run's first point.
    Relative,
    /// Seconds since 1970.
    Wall,
    /// Epochs, as the run itself logs them.
    Epoch,
}

/// An axis, with what of a run maps its points to it.
#[derive(Debug, Clone, Copy)]
pub struct Clock<'a> {
    /// Which quantity the axis shows.
    pub axis: XAxis,
    /// The time of the run's first point.
    pub began: f64,
    /// The run's epoch metric.
    pub epochs: Option<&'a Series>,
}

impl Clock<'_> {
    /// The epoch at a step: of the first point at or after it, else of the last point.
    pub fn epoch(&self, step: f64) -> Option<f64> {
        let epochs = self.epochs?;
        let after = epochs.steps.before(step);
        Some(epochs.get(after).or_else(|| epochs.last())?.value)
    }
}

/// One logged value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The step; may be negative or fractional.
    pub step: f64,
    /// Seconds since 1970, or since the run began where it tells no more ([`CALENDAR`]); NaN where it
    /// tells nothing.
    pub wall: f64,
    /// The value.
    pub value: f64,
}

/// Times from here on (1973) are dates; smaller ones count from the beginning of the run.
pub const CALENDAR: f64 = 1e8;

/// The minimum and maximum of finite values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extremes {
    /// The smallest finite value.
    pub min: f64,
    /// The largest finite value.
    pub max: f64,
}

/// Points whose steps never fall. If a run logs an earlier step again, it was resumed, rolled back or
/// begun again: the new points replace the old ones at this step and later ones. Several points at one
/// step all stay. A clone shares all full chunks.
#[derive(Debug, Clone)]
pub struct Series {
    steps: Steps,
    /// Time of the first point whose time is known.
    began: f64,
    /// Seconds since then; `f32` is precise enough.
    times: Chunks<Vec<f32>, CHUNK>,
    values: Values,
    pyramid: Pyramid,
    gaps: Gaps,
}

impl Default for Series {
    fn default() -> Self {
        Self {
            steps: Steps::default(),
            began: f64::NAN,
            times: Chunks::default(),
            values: Values::default(),
            pyramid: Pyramid::default(),
            gaps: Gaps::default(),
        }
    }
}

impl Series {
    /// Appends a point. One whose step is not finite has no place.
    pub fn push(&mut self, point: Point) {
        if !point.step.is_finite() {
            return;
        }
        // -0 is 0.
        let step = point.step + 0.0;
        if self.steps.last().is_some_and(|last| step < last) {
            self.forget_from(step);
        }
        if self.began.is_nan() {
            self.began = point.wall;
        }
        // Clocks are set back, and some points have no time; the axis must not fall.
        let time = (point.wall - self.began) as f32;
        let before = self.times.last().unwrap_or(f32::NAN);
        self.steps.push(step);
        self.times.push(time.max(before));
        self.values.push(point.value);
        self.pyramid.grow(&self.values);
        self.gaps.push(point.value);
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no point.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The point at an index, counted from the first step.
    pub fn get(&self, index: usize) -> Option<Point> {
        let value = self.values.get(index)?;
        let wall = self.time(index)?;
        Some(Point { step: self.steps.get(index)?, wall, value })
    }

    /// The point with the largest step.
    pub fn last(&self) -> Option<Point> {
        self.get(self.len().checked_sub(1)?)
    }

    /// All points in the order of their steps.
    pub fn points(&self) -> impl Iterator<Item = Point> + '_ {
        (0..self.len()).filter_map(|i| self.get(i))
    }

    /// The position of a point on an axis; `None` if its time is unknown.
    pub fn x(&self, index: usize, clock: Clock) -> Option<f64> {
        let x = match clock.axis {
            XAxis::Step => self.steps.get(index)?,
            XAxis::Relative => self.time(index)? - clock.began,
            XAxis::Epoch => clock.epoch(self.steps.get(index)?)?,
            XAxis::Wall => self.time(index).filter(|at| *at >= CALENDAR)?,
        };
        x.is_finite().then_some(x)
    }

    fn time(&self, index: usize) -> Option<f64> {
        Some(self.began + f64::from(self.times.get(index)?))
    }

    /// The points from `low` up to, but not including, `high`.
    pub fn within(&self, clock: Clock, low: f64, high: f64) -> Range<usize> {
        let first = |x: f64| self.first_where(|i| self.x(i, clock).is_some_and(|at| at >= x));
        first(low)..first(high)
    }

    /// The first index for which `so` is true; it must be true for all later ones.
    fn first_where(&self, so: impl Fn(usize) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if so(middle) { high = middle } else { low = middle + 1 }
        }
        low
    }

    /// The minimum and maximum of a range; `None` if it has no finite value.
    pub fn extremes(&self, range: Range<usize>) -> Option<Extremes> {
        self.pyramid.extremes(&self.values, range)
    }

    /// How many values are NaN or infinite.
    pub fn not_finite(&self) -> usize {
        self.gaps.count()
    }

    /// The stretches of a range whose values are NaN or infinite.
    pub fn gaps(&self, range: Range<usize>) -> impl Iterator<Item = Range<usize>> + '_ {
        self.gaps.within(range)
    }

    /// How many points are at this step or before it.
    pub fn index_after(&self, step: f64) -> usize {
        self.steps.before(step.next_up())
    }

    /// The first steps of the minimum and of the maximum.
    pub fn steps_of_extremes(&self) -> Option<(f64, f64)> {
        let whole = self.extremes(0..self.len())?;
        let first = |is: &dyn Fn(Extremes) -> bool| {
            let (mut from, mut to) = (0, self.len());
            while to - from > 1 {
                let middle = from + (to - from) / 2;
                match self.extremes(from..middle).is_some_and(is) {
                    true => to = middle,
                    false => from = middle,
                }
            }
            self.get(from).map(|point| point.step)
        };
        Some((first(&|e| e.min == whole.min)?, first(&|e| e.max == whole.max)?))
    }

    /// The points in each of `count` equal parts of the range.
    pub fn columns(
        &self,
        clock: Clock,
        (low, high): (f64, f64),
        count: usize,
    ) -> Vec<Range<usize>> {
        let width = (high - low) / count as f64;
        if count == 0 || width.is_nan() || width <= 0.0 {
            return vec![0..0; count];
        }
        let mut start = self.within(clock, low, low).start;
        (1..=count)
            .map(|i| {
                let end = if i == count { high } else { low + width * i as f64 };
                let end = self.within(clock, low, end).end;
                let part = start..end;
                start = end;
                part
            })
            .collect()
    }

    /// How many full chunks of values both share.
    #[cfg(test)]
    pub(super) fn shares_with(&self, other: &Self) -> usize {
        self.values.shared_with(&other.values)
    }

    /// Removes the points at this step and later ones.
    pub fn forget_from(&mut self, step: f64) {
        let len = self.steps.before(step);
        self.steps.truncate(len);
        self.times.truncate(len);
        self.values.truncate(len);
        self.pyramid.truncate(len);
        self.gaps.truncate(len);
    }
}

/// Minimum and maximum of whole blocks, and of blocks of blocks.
#[derive(Debug, Clone, Default)]
struct Pyramid {
    /// Level k has one entry for each whole block of `BLOCK^(k + 1)` points.
    levels: Vec<Chunks<Vec<(f64, f64)>, ENTRIES>>,
}

const BLOCK: usize = 16;
/// Entries in a chunk of a level.
const ENTRIES: usize = 128;

/// The entry of a block without finite values.
const NOTHING: (f64, f64) = (f64::INFINITY, f64::NEG_INFINITY);

impl Pyramid {
    fn grow(&mut self, values: &Values) {
        let mut size = BLOCK;
        let mut level = 0;
        while values.len().is_multiple_of(size) {
            let entry = match level {
                0 => widened((values.len() - BLOCK..values.len()).filter_map(|i| values.get(i))),
                _ => {
                    let below = &self.levels[level - 1];
                    let block = (below.len() - BLOCK..below.len()).filter_map(|i| below.get(i));
                    block.fold(NOTHING, joined)
                }
            };
            if self.levels.len() == level {
                self.levels.push(Chunks::default());
            }
            self.levels[level].push(entry);
            size *= BLOCK;
            level += 1;
        }
    }

    fn truncate(&mut self, len: usize) {
        let mut size = BLOCK;
        for level in &mut self.levels {
            level.truncate(len / size);
            size *= BLOCK;
        }
    }

    fn extremes(&self, values: &Values, range: Range<usize>) -> Option<Extremes> {
        let mut found = NOTHING;
        let end = range.end.min(values.len());
        let mut at = range.start;
        while at < end {
            // The largest block that begins here and ends within the range.
            let mut size = 1;
            let mut level = 0;
            while at.is_multiple_of(size * BLOCK)
                && at + size * BLOCK <= end
                && level < self.levels.len()
            {
                size *= BLOCK;
                level += 1;
            }
            let entry = match level {
                0 => widened(values.get(at).into_iter()),
                _ => self.levels[level - 1].get(at / size).unwrap_or(NOTHING),
            };
            found = joined(found, entry);
            at += size;
        }
        let (min, max) = found;
        (min <= max).then_some(Extremes { min, max })
    }
}

fn widened(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.filter(|v| v.is_finite()).fold(NOTHING, |a, v| joined(a, (v, v)))
}

fn joined(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    (a.0.min(b.0), a.1.max(b.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn clock(axis: XAxis, began: f64) -> Clock<'static> {
        Clock { axis, began, epochs: None }
    }

    fn point(step: impl Into<f64>, value: f64) -> Point {
        let step = step.into();
        Point { step, wall: 1e9 + step * 0.5, value }
    }

    fn series(values: impl IntoIterator<Item = f64>) -> Series {
        let mut series = Series::default();
        values.into_iter().enumerate().for_each(|(i, v)| series.push(point(i as f64, v)));
        series
    }

    #[test]
    fn the_extremes_of_any_stretch_are_those_of_its_points() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let values: Vec<f64> = (0..5000)
            .map(|i| if i % 97 == 0 { f64::NAN } else { f64::from(rng.random::<f32>()) })
            .collect();
        let series = series(values.iter().copied());
        for _ in 0..300 {
            let start = rng.random_range(0..5000);
            let end = rng.random_range(start..=5000);
            let numbers = || values[start..end].iter().copied().filter(|v| !v.is_nan());
            let expected = numbers().next().map(|_| Extremes {
                min: numbers().fold(f64::INFINITY, f64::min),
                max: numbers().fold(f64::NEG_INFINITY, f64::max),
            });
            assert_eq!(series.extremes(start..end), expected, "{start}..{end}");
        }
    }

    #[test]
    fn columns_part_the_stretch_and_lose_no_peak() {
        let series = series((0..1000).map(|i| if i == 437 { 9.0 } else { 1.0 }));
        let columns = series.columns(clock(XAxis::Step, 0.0), (0.0, 1000.0), 10);
        let extremes = columns.iter().filter_map(|column| series.extremes(column.clone()));
        let peaks: Vec<f64> = extremes.map(|e| e.max).collect();
        assert_eq!(peaks, [1.0, 1.0, 1.0, 1.0, 9.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
        // Half the points after half the time: two steps a second.
        let by_time = series.within(clock(XAxis::Relative, 1e9), 100.0, 200.0);
        assert_eq!(by_time, 200..400);
        let columns = |low, high, count| -> usize {
            let columns = series.columns(clock(XAxis::Step, 0.0), (low, high), count);
            assert_eq!(columns.len(), count);
            columns.into_iter().flatten().count()
        };
        assert_eq!((columns(2000.0, 3000.0, 3), columns(5.0, 5.0, 2)), (0, 0));
    }

    #[test]
    fn a_resumed_run_replaces_what_it_logs_again() {
        let mut series = series((0..100).map(f64::from));
        series.push(point(40, -1.0));
        series.push(point(41, -2.0));
        let steps: Vec<f64> = series.points().map(|p| p.step).collect();
        assert_eq!(steps, (0..=41).map(f64::from).collect::<Vec<_>>());
        assert_eq!(series.extremes(0..1000), Some(Extremes { min: -2.0, max: 39.0 }));
        assert_eq!(series.last(), Some(point(41, -2.0)));
        // Two points at one step both stay.
        series.push(point(41, 5.0));
        assert_eq!(series.len(), 43);
    }

    #[test]
    fn a_run_that_is_begun_again_replaces_what_it_repeats() {
        let mut series = series((0..10).map(f64::from));
        (0..4).for_each(|step| series.push(point(step, f64::from(-step))));
        let all: Vec<_> = series.points().map(|p| (p.step, p.value)).collect();
        assert_eq!(all, [(0.0, 0.0), (1.0, -1.0), (2.0, -2.0), (3.0, -3.0)]);
    }

    #[test]
    fn negative_and_fractional_steps_are_kept_apart() {
        let mut series = Series::default();
        let steps = [-2.5, -1.0, 0.0, 0.25, 0.5, 0.5, 7e15];
        steps.iter().for_each(|step| series.push(point(*step, *step)));
        series.push(point(f64::NAN, 1.0));
        series.push(point(f64::INFINITY, 1.0));
        assert_eq!(series.points().map(|p| p.step).collect::<Vec<_>>(), steps);
        assert_eq!((series.index_after(0.5), series.index_after(-1.5)), (6, 1));
        series.push(point(0.3, 9.0));
        assert_eq!(
            series.points().map(|p| p.step).collect::<Vec<_>>(),
            [-2.5, -1.0, 0.0, 0.25, 0.3]
        );
    }

    #[test]
    fn times_never_fall_and_may_begin_late() {
        let mut series = Series::default();
        let walls = [f64::NAN, 1e9 + 1.0, 1e9 + 5.0, 1e9, f64::NAN];
        for (step, wall) in walls.into_iter().enumerate() {
            series.push(Point { step: step as f64, wall, value: 1.0 });
        }
        let x: Vec<_> = (0..5).map(|i| series.x(i, clock(XAxis::Relative, 1e9))).collect();
        assert_eq!(x, [None, Some(1.0), Some(5.0), Some(5.0), Some(5.0)]);
        assert_eq!(series.within(clock(XAxis::Relative, 1e9), 0.0, 2.0), 1..2);
        assert_eq!(series.within(clock(XAxis::Relative, 1e9), 2.0, 9.0), 2..5);
        // Times since the beginning are no dates.
        let mut series = Series::default();
        series.push(Point { step: 1.0, wall: 4.0, value: 1.0 });
        let x = |axis| series.x(0, clock(axis, 4.0));
        assert_eq!((x(XAxis::Relative), x(XAxis::Wall)), (Some(0.0), None));
    }

    #[test]
    fn extremes_are_found_where_they_stand_first() {
        let mut values: Vec<f64> = (0..5_000).map(|i| f64::from(i % 100)).collect();
        (values[1_234], values[3_000], values[77]) = (-5.0, -5.0, f64::NAN);
        values[4_999] = 500.0;
        assert_eq!(series(values.into_iter()).steps_of_extremes(), Some((1_234.0, 4_999.0)));
        assert_eq!(Series::default().steps_of_extremes(), None);
    }

    #[test]
    fn epochs_are_those_that_the_run_tells_at_its_steps() {
        let mut epochs = Series::default();
        [(10.0, 0.5), (20.0, 1.0), (30.0, 1.5)]
            .into_iter()
            .for_each(|(step, epoch)| epochs.push(point(step, epoch)));
        let clock = Clock { axis: XAxis::Epoch, began: 0.0, epochs: Some(&epochs) };
        let series = series((0..40).map(f64::from));
        let x = [0, 10, 11, 35].map(|i| series.x(i, clock));
        assert_eq!(x, [Some(0.5), Some(0.5), Some(1.0), Some(1.5)]);
        assert_eq!(series.within(clock, 1.0, 1.5), 11..21);
        assert_eq!(series.x(0, Clock { epochs: None, ..clock }), None);
    }

    #[test]
    fn unknown_times_and_values_are_kept_and_not_drawn() {
        let mut series = Series::default();
        series.push(Point { step: 3.0, wall: f64::NAN, value: f64::INFINITY });
        assert_eq!(series.x(0, clock(XAxis::Wall, 0.0)), None);
        assert_eq!(series.x(0, clock(XAxis::Step, 0.0)), Some(3.0));
        assert_eq!(series.extremes(0..1), None);
        assert_eq!(series.last().map(|p| p.value), Some(f64::INFINITY));
    }
}
