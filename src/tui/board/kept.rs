//! What of the panel is found again at its next start: which runs are shown and pinned, and how charts
//! are drawn.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::state::{Board, Scale, Sort};
use crate::training::write_whole;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    scale: Scale,
    sort: Sort,
    unite: bool,
    show_gauges: bool,
    /// The chosen chart, and whether it fills the screen.
    metric: Option<String>,
    open: bool,
    /// Runs of which the user said something.
    runs: BTreeMap<PathBuf, Said>,
}

/// What the user said of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Said {
    pub shown: Option<bool>,
    pub pinned: bool,
}

/// Runs that are remembered; of more, those whose paths come last (the newest of ours).
const MOST: usize = 5_000;

impl Default for Kept {
    fn default() -> Self {
        Self {
            scale: Scale::default(),
            sort: Sort::Found,
            unite: true,
            show_gauges: false,
            metric: None,
            open: false,
            runs: BTreeMap::new(),
        }
    }
}

impl Kept {
    /// Of the panel as it is, with what is remembered of runs that are not in it.
    pub fn of(board: &Board) -> Self {
        let mut runs = board.remembered.clone();
        for (i, listed) in board.runs.iter().enumerate() {
            let path = board.run(i).path.clone();
            let said = Said { shown: listed.said, pinned: listed.pinned };
            match said == Said::default() {
                true => drop(runs.remove(&path)),
                false => drop(runs.insert(path, said)),
            }
        }
        while runs.len() > MOST {
            runs.pop_first();
        }
        Self {
            scale: board.scale,
            sort: board.sort,
            unite: board.unite,
            show_gauges: board.show_gauges,
            metric: board.metric().map(String::from),
            open: board.open,
            runs,
        }
    }

    pub fn text(&self) -> String {
        // Numbers, names and paths: there is nothing that JSON cannot say, but for a strange path.
        serde_json::to_string(self).unwrap_or_default()
    }

    pub fn restore(self, board: &mut Board) {
        let Self { scale, sort, unite, show_gauges, metric, open, runs } = self;
        (board.scale, board.sort, board.unite) = (scale, sort, unite);
        (board.show_gauges, board.remembered) = (show_gauges, runs);
        // Its run may not have been read yet.
        board.wanted_chart = metric.map(|metric| (metric, open));
        for i in 0..board.runs.len() {
            let path = board.run(i).path.clone();
            board.remember(i, &path);
        }
        board.refresh_metrics();
        board.refresh_smoothed();
    }
}

/// Where it is kept, below a data folder.
pub fn place(data: &Path) -> PathBuf {
    data.join("runs/.panel.json")
}

/// `None` where there is no file, or where it cannot be understood: nothing of worth is lost with it.
pub fn read(path: &Path) -> Option<Kept> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// `text` is that of [`Kept::text`].
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    write_whole(path, text.as_bytes()).map_err(io::Error::other)
}
