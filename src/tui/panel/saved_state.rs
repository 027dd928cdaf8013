//! The state that survives a restart: which runs are shown and pinned, and the view for each set of
//! watched paths. It is saved about a second after each change, so a crash loses nothing else.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::chart::Scale;
use super::list::Sort;
use super::state::{Focus, Panel};
use artgpt_base::files::read_limited;
use artgpt_rundir::write_json;

const MAX_BYTES: u64 = 64 << 20;

/// The content of the file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SavedState {
    /// By the watched paths.
    views: BTreeMap<String, View>,
    runs: Choices,
}

/// The user's choices by run path.
pub(crate) type Choices = BTreeMap<String, Choice>;

/// What the panel knows of its saved state.
#[derive(Debug, Default)]
pub(crate) struct Saved {
    /// The watched paths as one text.
    pub paths: String,
    /// What was saved last; `None` until the file has been read.
    pub known: Option<(View, Choices)>,
    /// Choices about runs that may not have been found yet.
    pub choices: Choices,
    /// A chart to select, and whether to open it, as soon as it exists.
    pub chart: Option<(String, bool)>,
    /// A run to move the cursor to, once everything has been read.
    pub run: Option<String>,
}

/// How the panel looked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct View {
    scale: Scale,
    sort: Sort,
    unite: bool,
    show_list: bool,
    table: bool,
    show_gauges: bool,
    filter: String,
    charts_with: String,
    window: Option<(f64, f64)>,
    follow: bool,
    /// The selected chart, and whether it fills the screen.
    metric: Option<String>,
    open: bool,
    /// The run under the cursor.
    run: Option<String>,
}

/// What the user chose for a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Choice {
    pub shown: Option<bool>,
    pub pinned: bool,
}

/// A change of the file. The rest of the file may be another panel's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub paths: String,
    /// As JSON.
    view: String,
    choices: Vec<(String, Choice)>,
}

/// Limit of remembered runs. Those with the greatest paths, the newest of ours, stay.
const MOST: usize = 5_000;
/// Limit of remembered sets of paths.
const MOST_VIEWS: usize = 100;

impl Default for View {
    fn default() -> Self {
        Self {
            scale: Scale::default(),
            sort: Sort::Found,
            unite: true,
            show_list: true,
            table: false,
            show_gauges: false,
            filter: String::new(),
            charts_with: String::new(),
            window: None,
            follow: false,
            metric: None,
            open: false,
            run: None,
        }
    }
}

impl View {
    fn new(panel: &Panel) -> Self {
        let charts = &panel.charts;
        Self {
            scale: charts.scale,
            sort: panel.list.sort,
            unite: charts.unite,
            show_list: panel.show_list,
            table: panel.table.open,
            show_gauges: panel.show_gauges,
            filter: panel.list.filter.clone(),
            charts_with: charts.filter.clone(),
            window: charts.window,
            follow: charts.follow,
            metric: panel.metric().map(String::from),
            open: charts.open,
            run: panel.chosen().map(|i| panel.run(i).path.display().to_string()),
        }
    }

    /// With the user's choices about all runs in the panel.
    pub(crate) fn with_choices(panel: &Panel) -> (Self, Choices) {
        let choices = panel.runs.iter().map(|listed| {
            let choice = Choice { shown: listed.said, pinned: listed.pinned };
            (listed.run.path.display().to_string(), choice)
        });
        (Self::new(panel), choices.collect())
    }

    fn restore(self, panel: &mut Panel) {
        let charts = &mut panel.charts;
        (charts.scale, charts.unite) = (self.scale, self.unite);
        (charts.window, charts.follow) = (self.window, self.follow);
        charts.filter = self.charts_with;
        (panel.list.sort, panel.list.filter) = (self.sort, self.filter);
        (panel.show_list, panel.show_gauges) = (self.show_list, self.show_gauges);
        panel.table.open = self.table;
        if !panel.show_list {
            panel.focus = Focus::Charts;
        }
        // Neither may have been read yet.
        panel.saved.chart = self.metric.map(|metric| (metric, self.open));
        panel.saved.run = self.run;
    }
}

/// The difference between `now` and the state that the file has.
pub(crate) fn change(
    paths: &str,
    now: &(View, Choices),
    known: &(View, Choices),
) -> Option<Change> {
    let none = Choice::default();
    let new = now.1.iter().filter(|(path, choice)| known.1.get(*path).unwrap_or(&none) != *choice);
    let choices: Vec<_> = new.map(|(path, choice)| (path.clone(), *choice)).collect();
    if now.0 == known.0 && choices.is_empty() {
        return None;
    }
    let view = serde_json::to_string(&now.0).unwrap_or_default();
    Some(Change { paths: paths.to_string(), view, choices })
}

impl SavedState {
    /// Applies the state to a panel, whose paths are known.
    pub(crate) fn restore(mut self, panel: &mut Panel) {
        self.views.remove(&panel.saved.paths).unwrap_or_default().restore(panel);
        panel.saved.choices = self.runs;
        for i in 0..panel.runs.len() {
            let path = panel.run(i).path.clone();
            panel.restore_choice(i, &path);
        }
    }

    fn take(&mut self, change: &Change) {
        if let Ok(view) = serde_json::from_str(&change.view) {
            self.views.insert(change.paths.clone(), view);
        }
        for (path, choice) in &change.choices {
            match *choice == Choice::default() {
                true => drop(self.runs.remove(path)),
                false => drop(self.runs.insert(path.clone(), *choice)),
            }
        }
        while self.runs.len() > MOST {
            self.runs.pop_first();
        }
        while self.views.len() > MOST_VIEWS {
            let other = self.views.keys().find(|paths| **paths != change.paths).cloned();
            let Some(other) = other else { return };
            self.views.remove(&other);
        }
    }
}

/// The file, below a data folder.
pub(crate) fn path_in(data: &Path) -> PathBuf {
    data.join("runs/.panel.json")
}

/// Empty if there is no file or if it cannot be parsed, because nothing valuable is lost with it.
pub(crate) fn read(path: &Path) -> io::Result<SavedState> {
    match read_limited(path, MAX_BYTES) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(SavedState::default()),
        Err(e) => Err(e),
    }
}

pub(crate) fn write(path: &Path, change: &Change) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // Another panel may write at the same time.
    let lock = std::fs::File::create(path.with_extension("lock"))?;
    lock.lock()?;
    let mut saved = read(path)?;
    saved.take(change);
    write_json(path, &saved).map_err(io::Error::other)
}

/// The file, with the changes that could not be written; these are tried again with the next one.
pub(crate) struct StateFile {
    path: PathBuf,
    pending: Mutex<Vec<Change>>,
}

/// Limit of changes that are tried again.
const MOST_PENDING: usize = 100;

impl StateFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, pending: Mutex::default() }
    }

    /// The saved state; empty where it cannot be read.
    pub(crate) fn read(&self) -> SavedState {
        read(&self.path).unwrap_or_default()
    }

    /// Writes a change after those that are pending.
    pub(crate) fn write(&self, change: Change) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.push(change);
        let written = pending.iter().take_while(|change| write(&self.path, change).is_ok()).count();
        pending.drain(..written);
        if pending.len() > MOST_PENDING {
            pending.remove(0);
        }
    }
}

impl Panel {
    /// Everything has been read once; what did not appear is not waited for.
    pub(crate) fn all_read(&mut self) {
        self.loaded = true;
        self.saved.chart = None;
        if let Some(path) = self.saved.run.take() {
            self.refresh_list();
            let is = |i: &usize| self.run(*i).path.display().to_string() == path;
            let place = self.listed().iter().position(is).unwrap_or(0);
            self.go_to(place);
        }
    }

    /// Shows this run, whether it exists already or comes later.
    pub(crate) fn show_always(&mut self, path: &Path) {
        let choice = Choice { shown: Some(true), pinned: false };
        self.saved.choices.insert(path.display().to_string(), choice);
        if let Some(i) = self.index_of(path) {
            self.restore_choice(i, path);
            self.refresh_metrics();
        }
    }

    /// Applies the user's saved choice to a run.
    pub(crate) fn restore_choice(&mut self, run: usize, path: &Path) {
        let Some(choice) = self.saved.choices.get(&path.display().to_string()) else { return };
        let listed = &mut self.runs[run];
        (listed.said, listed.pinned) = (choice.shown, choice.pinned);
        listed.shown = choice.shown.unwrap_or(listed.shown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_panels_do_not_overwrite_each_other() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = path_in(dir.path());
        let view = |filter: &str| {
            let view = View { filter: filter.into(), ..View::default() };
            serde_json::to_string(&view).expect("JSON")
        };
        let pinned = Choice { pinned: true, shown: None };
        let change = |paths: &str, filter: &str, run: &str, choice| Change {
            paths: paths.into(),
            view: view(filter),
            choices: vec![(run.into(), choice)],
        };
        write(&path, &change("a", "x", "/r/1", pinned)).expect("writes");
        write(&path, &change("b", "y", "/r/2", pinned)).expect("writes");
        write(&path, &change("b", "z", "/r/2", Choice::default())).expect("writes");
        let kept = read(&path).expect("reads");
        assert_eq!(kept.views["a"].filter, "x");
        assert_eq!(kept.views["b"].filter, "z");
        assert_eq!(kept.runs.into_iter().collect::<Vec<_>>(), [("/r/1".into(), pinned)]);
    }
}
