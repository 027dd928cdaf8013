//! One row of a log, and where it stands on the axis.

mod placing;
mod vague;

use std::borrow::Cow;

use placing::Told;
pub(super) use placing::{Placing, Unwrapped};

use super::number::{Notation, date, duration};
use super::role::{Role, is_vague};
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
        matches!(self.step, Some((rank, Count::Unreadable(_))) if !is_vague(rank))
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
        let cells = self.cells.iter().map(|cell| (&*cell.name, cell.value));
        let wall = self.wall.or(self.elapsed).unwrap_or(f64::NAN);
        let told = Told { step: self.step, epoch: self.epoch, wall };
        let step = places.known_step(told, cells, into);
        let Some(at) = places.step(step.as_ref(), self.epoch, into, skipped, at) else { return };
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

#[cfg(test)]
mod tests {
    use super::*;

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
