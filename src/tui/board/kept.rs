//! What of the panel is found again at its next start: which runs are shown and pinned, and for each set
//! of watched paths how it was looked at.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};

use super::state::{Board, Focus, Scale, Sort};
use artgpt_rundir::write_json;

/// The file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// By the paths that were watched.
    views: BTreeMap<String, View>,
    /// Runs of which the user said something.
    runs: BTreeMap<String, Said>,
}

/// How the panel was looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
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
    /// The chosen chart, and whether it fills the screen.
    metric: Option<String>,
    open: bool,
    /// The run under the cursor.
    run: Option<String>,
}

/// What the user said of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Said {
    pub shown: Option<bool>,
    pub pinned: bool,
}

/// What is written into the file; the rest of it may be another panel's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub place: String,
    /// As JSON.
    view: String,
    said: Vec<(String, Said)>,
}

/// Runs that are remembered; of more, those whose paths come last (the newest of ours).
const MOST: usize = 5_000;
/// Sets of paths that are remembered.
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
    fn of(board: &Board) -> Self {
        Self {
            scale: board.scale,
            sort: board.sort,
            unite: board.unite,
            show_list: board.show_list,
            table: board.table,
            show_gauges: board.show_gauges,
            filter: board.filter.clone(),
            charts_with: board.charts_with.clone(),
            window: board.window,
            follow: board.follow,
            metric: board.metric().map(String::from),
            open: board.open,
            run: board.chosen().map(|i| board.run(i).path.display().to_string()),
        }
    }

    fn restore(self, board: &mut Board) {
        (board.scale, board.sort, board.unite) = (self.scale, self.sort, self.unite);
        (board.show_list, board.show_gauges) = (self.show_list, self.show_gauges);
        board.table = self.table;
        if !board.show_list {
            board.focus = Focus::Charts;
        }
        (board.filter, board.charts_with) = (self.filter, self.charts_with);
        (board.window, board.follow) = (self.window, self.follow);
        // Neither may have been read yet.
        board.wanted_chart = self.metric.map(|metric| (metric, self.open));
        board.wanted_run = self.run;
    }
}

/// What the user said of the runs in the panel.
fn said(board: &Board) -> BTreeMap<String, Said> {
    let all = board.runs.iter().enumerate().map(|(i, listed)| {
        let said = Said { shown: listed.said, pinned: listed.pinned };
        (board.run(i).path.display().to_string(), said)
    });
    all.collect()
}

/// All that is kept of a panel.
pub type State = (View, BTreeMap<String, Said>);

pub fn state(board: &Board) -> State {
    (View::of(board), said(board))
}

/// What of `now` is not in the file yet, which knows of the state before.
pub fn change(place: &str, now: &State, known: &State) -> Option<Change> {
    let usual = Said::default();
    let news = now.1.iter().filter(|(path, said)| known.1.get(*path).unwrap_or(&usual) != *said);
    let said: Vec<(String, Said)> = news.map(|(path, said)| (path.clone(), *said)).collect();
    if now.0 == known.0 && said.is_empty() {
        return None;
    }
    let view = serde_json::to_string(&now.0).unwrap_or_default();
    Some(Change { place: place.to_string(), view, said })
}

impl Kept {
    pub fn restore(mut self, board: &mut Board) {
        self.views.remove(&board.place).unwrap_or_default().restore(board);
        board.remembered = self.runs;
        for i in 0..board.runs.len() {
            let path = board.run(i).path.clone();
            board.remember(i, &path);
        }
    }

    fn take(&mut self, change: &Change) {
        if let Ok(view) = serde_json::from_str(&change.view) {
            self.views.insert(change.place.clone(), view);
        }
        for (path, said) in &change.said {
            match *said == Said::default() {
                true => drop(self.runs.remove(path)),
                false => drop(self.runs.insert(path.clone(), *said)),
            }
        }
        while self.runs.len() > MOST {
            self.runs.pop_first();
        }
        while self.views.len() > MOST_VIEWS {
            let other = self.views.keys().find(|place| **place != change.place).cloned();
            let Some(other) = other else { return };
            self.views.remove(&other);
        }
    }
}

/// Where it is kept, below a data folder.
pub fn place(data: &Path) -> PathBuf {
    data.join("runs/.panel.json")
}

/// Empty where there is no file, or where it cannot be understood: nothing of worth is lost with it.
pub fn read(path: &Path) -> io::Result<Kept> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Kept::default()),
        Err(e) => Err(e),
    }
}

pub fn write(path: &Path, change: &Change) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // Another panel may write at the same time.
    let lock = std::fs::File::create(path.with_extension("lock"))?;
    lock.lock()?;
    let mut kept = read(path)?;
    kept.take(change);
    write_json(path, &kept).map_err(io::Error::other)
}

/// Writes changes one after the other, apart from the screen.
pub struct Keeper {
    changes: Sender<Change>,
    thread: JoinHandle<()>,
}

/// Changes that could not be written and are tried again with the next one.
const MOST_PENDING: usize = 100;

impl Keeper {
    pub fn spawn(path: PathBuf) -> io::Result<Self> {
        let (changes, inbox) = channel::<Change>();
        let work = move || {
            let mut pending: Vec<Change> = Vec::new();
            while let Ok(change) = inbox.recv() {
                pending.push(change);
                while let Some(first) = pending.first() {
                    if write(&path, first).is_err() {
                        break;
                    }
                    pending.remove(0);
                }
                if pending.len() > MOST_PENDING {
                    pending.remove(0);
                }
            }
        };
        let thread = std::thread::Builder::new().name("keeper".into()).spawn(work)?;
        Ok(Self { changes, thread })
    }

    pub fn keep(&self, change: Change) {
        // It listens as long as it is there.
        let _ = self.changes.send(change);
    }

    pub fn finish(self) {
        drop(self.changes);
        let _ = self.thread.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_panels_keep_what_the_other_one_wrote() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = place(dir.path());
        let view = |filter: &str| {
            let view = View { filter: filter.into(), ..View::default() };
            serde_json::to_string(&view).expect("JSON")
        };
        let pinned = Said { pinned: true, shown: None };
        let change = |place: &str, filter: &str, run: &str, said| Change {
            place: place.into(),
            view: view(filter),
            said: vec![(run.into(), said)],
        };
        write(&path, &change("a", "x", "/r/1", pinned)).expect("writes");
        write(&path, &change("b", "y", "/r/2", pinned)).expect("writes");
        write(&path, &change("b", "z", "/r/2", Said::default())).expect("writes");
        let kept = read(&path).expect("reads");
        assert_eq!(kept.views["a"].filter, "x");
        assert_eq!(kept.views["b"].filter, "z");
        assert_eq!(kept.runs.into_iter().collect::<Vec<_>>(), [("/r/1".into(), pinned)]);
    }
}
