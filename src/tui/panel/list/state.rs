//! Which runs are listed, in which order, and where the cursor is.

use serde::{Deserialize, Serialize};

use super::filter::matches;
use crate::tui::panel::state::Panel;
use artgpt_rundir::RunState;
use artgpt_runs::{Run, Standing};

/// The list of runs.
#[derive(Debug, Default)]
pub(crate) struct RunList {
    /// Indices of the listed runs, in order. Derived: [`Panel::refresh_list`] computes them.
    pub rows: Vec<usize>,
    /// Last position of the cursor in `rows`.
    pub cursor: usize,
    /// The run under the cursor, which follows it when the order changes.
    pub on: Option<usize>,
    pub filter: String,
    pub sort: Sort,
}

/// The order of the list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sort {
    #[default]
    /// By path; runs found later come last.
    Found,
    /// Running runs first.
    State,
    /// By the last value of the selected metric, ascending.
    Last,
    /// By its minimum, ascending.
    Best,
    /// By its maximum, descending.
    Greatest,
}

impl Sort {
    pub(crate) fn next(self) -> Self {
        match self {
            Self::Found => Self::State,
            Self::State => Self::Last,
            Self::Last => Self::Best,
            Self::Best => Self::Greatest,
            Self::Greatest => Self::Found,
        }
    }
}

impl Panel {
    /// The listed runs: pinned ones first, then in the chosen order.
    pub(crate) fn listed(&self) -> &[usize] {
        &self.list.rows
    }

    /// Filters and sorts the list again. Called once after each change.
    pub(crate) fn refresh_list(&mut self) {
        let listed = |i: &usize| {
            let run = self.run(*i);
            let filter = &self.list.filter;
            !run.gone && (filter.is_empty() || matches(filter, run, &self.note_of(run), self.now))
        };
        let mut rows: Vec<usize> = (0..self.runs.len()).filter(listed).collect();
        match self.list.sort {
            Sort::Found => {}
            Sort::State => rows.sort_by_cached_key(|i| rank(self.run(*i).standing(self.now))),
            Sort::Last | Sort::Best | Sort::Greatest => {
                let value = |i: usize| (self.sort_value(i).unwrap_or(f64::INFINITY), i);
                let mut keyed: Vec<(f64, usize)> = rows.iter().map(|i| value(*i)).collect();
                keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
                rows = keyed.into_iter().map(|(_, i)| i).collect();
            }
        }
        rows.sort_by_key(|i| !self.runs[*i].pinned);
        self.list.rows = rows;
    }

    /// The value that the list is sorted by, in ascending order.
    fn sort_value(&self, run: usize) -> Option<f64> {
        let series = self.run(run).curves.get(self.metric()?)?;
        match self.list.sort {
            Sort::Best => Some(series.extremes(0..series.len())?.min),
            Sort::Greatest => Some(-series.extremes(0..series.len())?.max),
            _ => Some(series.last()?.value),
        }
    }

    /// The user's note and tags on a run, else those that the run logged.
    pub(crate) fn note_of(&self, run: &Run) -> String {
        let own = self.notes.get(&run.path).cloned();
        own.unwrap_or_else(|| run.curves.about.remarks())
    }

    /// The run under the cursor.
    pub(crate) fn chosen(&self) -> Option<usize> {
        self.list.rows.get(self.place()).copied()
    }

    /// The cursor's position in the list.
    pub(crate) fn place(&self) -> usize {
        let rows = &self.list.rows;
        let on = self.list.on.and_then(|run| rows.iter().position(|i| *i == run));
        on.unwrap_or(self.list.cursor.min(rows.len().saturating_sub(1)))
    }

    pub(crate) fn go_to(&mut self, place: usize) {
        self.list.cursor = place.min(self.list.rows.len().saturating_sub(1));
        self.list.on = self.list.rows.get(self.list.cursor).copied();
    }

    pub(crate) fn move_by(&mut self, by: isize) {
        self.go_to(self.place().saturating_add_signed(by));
    }

    /// The listed runs that are selected, or the one under the cursor if none is.
    pub(crate) fn targets(&self) -> Vec<usize> {
        let rows = self.list.rows.iter().copied();
        let marked: Vec<usize> = rows.filter(|i| self.runs[*i].selected).collect();
        if marked.is_empty() { self.chosen().into_iter().collect() } else { marked }
    }
}

/// Running runs first, then those that need attention.
fn rank(standing: Standing) -> u8 {
    match standing {
        standing if standing.runs() => 0,
        Standing::Told(RunState::Queued) => 1,
        Standing::Told(RunState::Paused) => 2,
        Standing::Told(RunState::Failed) | Standing::Lost => 3,
        Standing::Told(RunState::Stopped) => 4,
        _ => 5,
    }
}
