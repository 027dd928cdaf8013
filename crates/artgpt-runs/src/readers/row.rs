//! One row of a log, and where it stands on the axis.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::number::{Notation, date, duration};
use super::role::Role;
use super::words::{Texts, quoted};
use crate::curves::Curves;
use crate::series::{CALENDAR, Point};
use crate::skipped::Skipped;

/// The step that a row gives.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Count {
    /// A number.
    At(f64),
    /// Something else.
    Unreadable(String),
}

impl Count {
    /// The step that a text is. `12/100` counts up to 100.
    pub(crate) fn of(text: &str, notation: Notation) -> Self {
        let counted = match text.split_once('/') {
            Some((step, total)) if notation.number(total).is_some() => step,
            _ => text,
        };
        match notation.number(counted) {
            Some(step) => Self::from(step),
            None => Self::Unreadable(quoted(text)),
        }
    }
}

impl From<f64> for Count {
    fn from(step: f64) -> Self {
        match step.is_finite() {
            true => Self::At(step),
            false => Self::Unreadable(step.to_string()),
        }
    }
}

/// The numbers of one row by what they mean.
#[derive(Debug, Default)]
pub(super) struct Row<'a> {
    /// Rank and value of the best step.
    step: Option<(u16, Count)>,
    epoch: Option<f64>,
    wall: Option<f64>,
    elapsed: Option<f64>,
    total: Option<f64>,
    cells: Vec<Cell<'a>>,
}

#[derive(Debug)]
struct Cell<'a> {
    name: Cow<'a, str>,
    value: f64,
    kind: CellKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CellKind {
    Metric,
    /// Epoch or seconds: of the row, whatever its split.
    Clock,
    /// A counter, unless it turns out to be the step.
    Counter,
}

impl<'a> Row<'a> {
    /// Adds a number.
    pub(crate) fn number(&mut self, role: Role, name: impl Into<Cow<'a, str>>, value: f64) {
        match role {
            Role::Step(rank) => {
                self.cell(name, value, CellKind::Counter);
                self.step(rank, Count::from(value));
            }
            Role::Epoch => {
                self.epoch.get_or_insert(value);
                self.cell(name, value, CellKind::Clock);
            }
            // Small values of `time` are durations of a step, not times.
            Role::Wall if seconds(value) >= CALENDAR => self.wall = Some(seconds(value)),
            Role::Elapsed => {
                self.elapsed = Some(value);
                self.cell(name, value, CellKind::Clock);
            }
            Role::Total => self.total = Some(value),
            Role::Plan => {}
            Role::Wall | Role::Split | Role::Metric => self.cell(name, value, CellKind::Metric),
        }
    }

    fn cell(&mut self, name: impl Into<Cow<'a, str>>, value: f64, kind: CellKind) {
        self.cells.push(Cell { name: name.into(), value, kind });
    }

    /// Adds a text; returns whether it meant something. What does not is counted as such, unless the
    /// whole row is lost.
    pub(crate) fn text(
        &mut self,
        role: Role,
        name: impl Into<Cow<'a, str>>,
        text: &str,
        notation: Notation,
    ) -> bool {
        if let Role::Step(rank) = role {
            match Count::of(text, notation) {
                Count::At(value) => self.number(role, name, value),
                unreadable @ Count::Unreadable(_) => self.step(rank, unreadable),
            }
            return true;
        }
        if let Some(value) = notation.number(text) {
            self.number(role, name, value);
            return true;
        }
        match role {
            Role::Wall => match (date(text), duration(text)) {
                (Some(at), _) => self.wall = Some(at),
                (None, Some(took)) => self.cell(name, took, CellKind::Metric),
                (None, None) => return false,
            },
            Role::Elapsed => match duration(text) {
                Some(took) => self.number(role, name, took),
                None => return false,
            },
            Role::Plan | Role::Split => {}
            _ => return false,
        }
        true
    }

    /// Notes a name without a value, which matters if it is the step's.
    pub(crate) fn nothing(&mut self, role: Role) {
        if let Role::Step(rank) = role {
            self.step(rank, Count::Unreadable("nothing".into()));
        }
    }

    fn step(&mut self, rank: u16, step: Count) {
        if self.step.as_ref().is_none_or(|(best, _)| rank < *best) {
            self.step = Some((rank, step));
        }
    }

    /// Gives its metrics other names, or drops those without one.
    pub(crate) fn rename(&mut self, name: impl Fn(&str) -> Option<String>) {
        self.cells.retain_mut(|cell| match cell.kind {
            CellKind::Metric => match name(&cell.name) {
                Some(new) => {
                    cell.name = new.into();
                    true
                }
                None => false,
            },
            _ => true,
        });
    }

    /// Drops everything but its metrics, step and time.
    pub(crate) fn drop_clocks(&mut self) {
        self.cells.retain(|cell| cell.kind == CellKind::Metric);
    }

    /// Whether its step is something else than a number.
    fn is_lost(&self) -> bool {
        matches!(self.step, Some((_, Count::Unreadable(_))))
    }

    /// Adds its numbers to the curves, or counts it as skipped. `at` tells where it is.
    pub(crate) fn push_into(
        self,
        places: &mut Placing,
        into: &mut Curves,
        texts: Texts,
        skipped: &mut Skipped,
        at: &dyn Fn() -> String,
    ) {
        if !self.is_lost() {
            for (name, text) in &texts.found {
                texts.words.add(name, || format!("{}: {}", at(), quoted(text)));
            }
        }
        if let Some(total) = self.total.filter(|total| *total >= 1.0) {
            into.set_total(total as u64);
        }
        let is_empty = self.cells.iter().all(|cell| cell.kind == CellKind::Counter);
        // A lost row of texts counts, too.
        if is_empty && (texts.found.is_empty() || !self.is_lost()) {
            return;
        }
        let step = self.step.map(|(_, step)| step);
        let Some(at) = places.step(step.as_ref(), self.epoch, into, skipped, at) else { return };
        let wall = self.wall.or(self.elapsed).unwrap_or(f64::NAN);
        for Cell { name, value, kind } in self.cells {
            let is_known = match kind {
                CellKind::Metric => false,
                CellKind::Counter => step == Some(Count::At(value)),
                // Lines about one step tell the epoch twice.
                CellKind::Clock => !places.is_news(&name, at, value),
            };
            if !is_known {
                into.push(&name, Point { step: at, wall, value });
            }
        }
    }
}

/// Seconds of a Unix time in seconds, milliseconds, microseconds or nanoseconds.
pub(super) fn seconds(time: f64) -> f64 {
    match time {
        1e17.. => time / 1e9,
        1e14.. => time / 1e6,
        1e11.. => time / 1e3,
        _ => time,
    }
}

/// What the rows of a file count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Axis {
    /// Nothing: rows have numbers.
    #[default]
    Rows,
    Epochs,
    Steps,
}

/// Where the rows of one file stand: at their steps; in files without steps at their epochs; in files
/// without either at their row numbers.
#[derive(Debug, Default)]
pub(super) struct Placing {
    axis: Axis,
    /// Rows placed since the axis changed, and where the first was.
    rows: u64,
    first: Option<String>,
    epochs: EpochSteps,
    /// Names of epochs and seconds with their last step and value.
    clocks: Vec<(String, f64, f64)>,
}

impl Placing {
    /// The file has a column of steps, even if no row has one.
    pub(crate) fn expect_steps(&mut self) {
        self.axis = self.axis.max(Axis::Steps);
    }

    /// The file has a column of epochs.
    pub(crate) fn expect_epochs(&mut self) {
        self.axis = self.axis.max(Axis::Epochs);
    }

    /// Whether an epoch or a time is not the one that was told last at this step.
    fn is_news(&mut self, name: &str, step: f64, value: f64) -> bool {
        /// More such names are taken as news.
        const MOST: usize = 16;
        match self.clocks.iter_mut().find(|(known, ..)| *known == name) {
            Some((_, at, last)) => {
                let is_news = (*at, *last) != (step, value);
                (*at, *last) = (step, value);
                is_news
            }
            None => {
                if self.clocks.len() < MOST {
                    self.clocks.push((name.into(), step, value));
                }
                true
            }
        }
    }

    /// The place of a row; `None` if it has none, which is counted.
    pub(crate) fn step(
        &mut self,
        step: Option<&Count>,
        epoch: Option<f64>,
        into: &mut Curves,
        skipped: &mut Skipped,
        at: &dyn Fn() -> String,
    ) -> Option<f64> {
        let epoch = epoch.filter(|epoch| epoch.is_finite());
        let axis = match (step, epoch) {
            (Some(_), _) => Axis::Steps,
            (None, Some(_)) => Axis::Epochs,
            (None, None) => Axis::Rows,
        };
        if axis == Axis::Rows && self.axis == Axis::Rows {
            into.place_by_row();
        }
        if axis > self.axis {
            // A number of a row says nothing in a file that has steps.
            if self.rows > 0 {
                into.forget_file();
                let first = self.first.take().unwrap_or_default();
                skipped.add_first(self.axis.missing(axis), self.rows as usize, || first);
                self.clocks.clear();
            }
            (self.axis, self.rows) = (axis, 0);
        }
        let placed = match (self.axis, step, epoch) {
            (Axis::Steps, Some(Count::At(step)), _) => Some(self.epochs.global(*step, epoch)),
            (Axis::Steps, Some(Count::Unreadable(text)), _) => {
                skipped.add_first("rows whose step is not a number", 1, || {
                    format!("{}: {text}", at())
                });
                return None;
            }
            (Axis::Epochs, _, Some(epoch)) => Some(epoch),
            (Axis::Rows, ..) => Some(self.rows as f64),
            _ => None,
        };
        match placed {
            Some(_) => {
                if self.rows == 0 && self.axis < Axis::Steps {
                    self.first = Some(at());
                }
                self.rows += 1;
            }
            None => skipped.add_first(axis.missing(self.axis), 1, at),
        }
        placed
    }
}

impl Axis {
    /// Why rows with this cannot be placed on another axis.
    fn missing(self, other: Self) -> &'static str {
        match other {
            Self::Steps => "rows without a step",
            _ => "rows without an epoch",
        }
    }
}

/// Steps that begin again in each epoch are counted on.
#[derive(Debug, Default)]
struct EpochSteps {
    /// The first step of the file.
    first: Option<f64>,
    /// The present epoch.
    epoch: Option<i64>,
    /// Added to the steps of the present epoch.
    offset: f64,
    /// What was added in each epoch, for runs that go back.
    offsets: BTreeMap<i64, f64>,
    /// The highest place since the run went back.
    highest: f64,
}

impl EpochSteps {
    /// Epochs whose offsets are kept.
    const MOST: usize = 10_000;

    fn global(&mut self, step: f64, epoch: Option<f64>) -> f64 {
        let first = *self.first.get_or_insert(step);
        let epoch = epoch.map(|epoch| epoch.floor() as i64);
        match (self.epoch, epoch) {
            (Some(before), Some(now)) if now > before => {
                let begins = step == first || step == 0.0 || step == 1.0;
                if begins && step + self.offset <= self.highest {
                    self.offset = self.highest + 1.0 - step;
                }
            }
            (Some(before), Some(now)) if now < before => {
                self.offset = self.offsets.get(&now).copied().unwrap_or(0.0);
                self.highest = f64::NEG_INFINITY;
            }
            _ => {}
        }
        if epoch != self.epoch
            && let Some(now) = epoch
        {
            self.epoch = epoch;
            if self.offsets.len() < Self::MOST {
                self.offsets.insert(now, self.offset);
            }
        }
        let placed = step + self.offset;
        self.highest = self.highest.max(placed);
        placed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(rows: &[(Option<Count>, Option<f64>)]) -> (Vec<Option<f64>>, Skipped) {
        let (mut places, mut skipped) = (Placing::default(), Skipped::default());
        let mut curves = Curves::default();
        let all = rows.iter().map(|(step, epoch)| {
            places.step(step.as_ref(), *epoch, &mut curves, &mut skipped, &|| "".into())
        });
        (all.collect(), skipped)
    }

    #[test]
    fn a_step_that_cannot_be_read_is_never_a_row_number() {
        let at = |step| (Some(Count::At(step)), None);
        let bad = (Some(Count::Unreadable("last".into())), None);
        let (found, skipped) = places(&[at(10.0), at(20.0), bad, (None, Some(3.0)), at(40.0)]);
        assert_eq!(found, [Some(10.0), Some(20.0), None, None, Some(40.0)]);
        assert_eq!(skipped.total(), 2);
        // Rows have numbers where nothing else counts them.
        assert_eq!(places(&[(None, None), (None, None)]).0, [Some(0.0), Some(1.0)]);
        // What stood at a row number is taken back when steps come.
        assert_eq!(places(&[(None, None), at(5.0)]).1.total(), 1);
    }

    #[test]
    fn steps_of_each_epoch_are_counted_on_and_a_resumed_run_goes_back() {
        let row = |step: f64, epoch: f64| (Some(Count::At(step)), Some(epoch));
        let rows = [
            (0.0, 0.0),
            (1.0, 0.0),
            (2.0, 0.0),
            (0.0, 1.0),
            (1.0, 1.0),
            (2.0, 1.0),
            (0.0, 2.0),
            // Back to the second epoch.
            (0.0, 1.0),
            (1.0, 1.0),
            (2.0, 1.0),
            (0.0, 2.0),
        ];
        let found = places(&rows.map(|(step, epoch)| row(step, epoch))).0;
        let steps: Vec<f64> = found.into_iter().flatten().collect();
        assert_eq!(steps, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 3.0, 4.0, 5.0, 6.0]);
        // Steps that do not begin again stay, and so do other counters in lines between.
        let rows = [(50.0, 0.5), (100.0, 1.0), (150.0, 1.5), (2.0, 2.0), (200.0, 2.0), (0.5, 2.1)];
        let found = places(&rows.map(|(step, epoch)| row(step, epoch))).0;
        assert_eq!(found, rows.map(|(step, _)| Some(step)));
    }

    #[test]
    fn steps_and_times_are_read_in_any_unit() {
        let notation = Notation::default();
        let at = |text| Count::of(text, notation);
        assert_eq!(
            ["7", "1,000", "-1", "0.5", "12/100"].map(at),
            [7.0, 1e3, -1.0, 0.5, 12.0].map(Count::At)
        );
        assert_eq!(["last", "", "nan", "12/x"].map(|t| matches!(at(t), Count::At(_))), [false; 4]);
        assert_eq!([1.7e9, 1.7e12, 1.7e15, 1.7e18].map(seconds), [1.7e9; 4]);
    }
}
