//! The state of the panel. Only [`update`](super::update) changes it; views and layout read it.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use jiff::tz::TimeZone;
use ratatui::layout::Rect;
use ratatui::style::Color;

use super::chart::Charts;
use super::filter_input::FilterInput;
use super::jobs::Form;
use super::list::RunList;
use super::notes::Notes;
use super::overlay::Overlay;
use super::saved_state::Saved;
use super::table::RunTable;
use crate::tui::components::Overlays;
use crate::tui::graphics::ColourDepth;
use crate::tui::keys::Keymap;
use crate::tui::theme::Theme;
use artgpt_machine::Load;
use artgpt_runs::{Run, RunSnapshot};

/// Everything that the panel shows.
pub(crate) struct Panel {
    pub theme: Theme,
    pub keymap: Arc<Keymap>,
    pub screen: Rect,
    /// The time of the last tick, on a clock that is never set.
    pub now: SystemTime,
    /// For dates and times of day.
    pub zone: TimeZone,
    /// In the order in which they were found.
    pub runs: Vec<Listed>,
    /// Everything that existed at the start has been read.
    pub loaded: bool,
    pub focus: Focus,
    /// The filter that is being typed.
    pub filtering: Option<FilterInput>,
    pub show_list: bool,
    pub list: RunList,
    pub table: RunTable,
    pub charts: Charts,
    pub saved: Saved,
    /// Windows over the screen.
    pub overlays: Overlays<Overlay>,
    /// What was typed into the form last.
    pub draft: Form,
    pub notes: Notes,
    /// The panel covers the chat, to which `q` returns.
    pub within: bool,
    /// Jobs can be controlled from here.
    pub steers: bool,
    /// Machine load over the last minutes, newest last.
    pub history: VecDeque<Load>,
    pub show_gauges: bool,
    pub colours: ColourDepth,
    /// Pixels of a cell, if the terminal shows pictures.
    pub cell: Option<(u16, u16)>,
    /// Whether the open chart is a picture where the terminal shows them.
    pub pictures: bool,
    /// Keys and resizes so far.
    pub pressed: u64,
    pub notice: Option<String>,
}

/// A run in the list.
pub(crate) struct Listed {
    pub run: RunSnapshot,
    pub colour: Color,
    pub shown: bool,
    /// Whether the user has shown or hidden it.
    pub said: Option<bool>,
    /// Stays at the top of the list.
    pub pinned: bool,
    /// Selected for the next key.
    pub selected: bool,
}

/// Which side of the screen gets the arrow keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Focus {
    List,
    Charts,
}

/// Curve colours: the named ones that every terminal theme defines.
pub(crate) const COLOURS: [Color; 12] = [
    Color::Cyan,
    Color::Yellow,
    Color::Green,
    Color::Magenta,
    Color::LightBlue,
    Color::LightRed,
    Color::LightGreen,
    Color::LightMagenta,
    Color::LightYellow,
    Color::LightCyan,
    Color::Blue,
    Color::Red,
];

/// The first runs that are shown; more curves make a chart unreadable.
const SHOWN_AT_FIRST: usize = 10;
/// Running runs are shown in addition, up to this many shown runs.
const RUNNING_SHOWN: usize = 24;
/// Load samples kept: about ten minutes.
const HISTORY: usize = 300;

impl Panel {
    pub(crate) fn new(theme: Theme, screen: Rect, now: SystemTime) -> Self {
        Self {
            theme,
            keymap: Arc::default(),
            screen,
            now,
            zone: TimeZone::UTC,
            runs: Vec::new(),
            loaded: false,
            focus: Focus::List,
            filtering: None,
            show_list: true,
            list: RunList::default(),
            table: RunTable::default(),
            charts: Charts::default(),
            saved: Saved::default(),
            overlays: Overlays::default(),
            draft: Form::default(),
            notes: Notes::new(),
            within: false,
            steers: false,
            history: VecDeque::new(),
            show_gauges: false,
            colours: ColourDepth::Indexed256,
            cell: None,
            pictures: true,
            pressed: 0,
            notice: None,
        }
    }

    pub(crate) fn run(&self, index: usize) -> &Run {
        &self.runs[index].run
    }

    /// The index of the run at this path.
    pub(crate) fn index_of(&self, path: &Path) -> Option<usize> {
        self.runs.iter().position(|listed| listed.run.path == path)
    }

    pub(crate) fn run_at(&self, path: &Path) -> Option<&Run> {
        self.index_of(path).map(|i| self.run(i))
    }

    pub(crate) fn paths_of(&self, runs: &[usize]) -> Vec<PathBuf> {
        runs.iter().map(|i| self.run(*i).path.clone()).collect()
    }

    /// Indices of the runs whose curves are drawn.
    pub(crate) fn drawn(&self) -> impl Iterator<Item = usize> + '_ {
        let shown = self.runs.iter().enumerate();
        shown.filter(|(_, listed)| listed.shown && !listed.run.gone).map(|(i, _)| i)
    }

    pub(crate) fn add(&mut self, new: Vec<RunSnapshot>) {
        for run in new {
            let shown = self.runs.len() < SHOWN_AT_FIRST;
            let path = run.path.clone();
            let colour = self.colour(&path);
            self.runs.push(Listed {
                run,
                colour,
                shown,
                said: None,
                pinned: false,
                selected: false,
            });
            self.restore_choice(self.runs.len() - 1, &path);
        }
    }

    /// Takes new snapshots, and refreshes only what depends on them.
    pub(crate) fn grow(&mut self, grown: Vec<(usize, RunSnapshot)>) {
        let mut renamed = false;
        let (mut changed, mut deleted) = (Vec::new(), Vec::new());
        for (i, new) in grown {
            let Some(listed) = self.runs.get_mut(i) else { continue };
            let old = std::mem::replace(&mut listed.run, new);
            let same_names = old.curves.has_same_names(&listed.run.curves);
            renamed |= listed.shown && (!same_names || old.gone != listed.run.gone);
            if listed.run.gone && !old.gone {
                deleted.push(old.title().unwrap_or(&old.name).to_string());
            }
            changed.push(i);
        }
        self.report_deleted(&deleted);
        let shown = self.show_running();
        if renamed || shown {
            self.refresh_metrics();
        }
        match shown {
            true => self.refresh_smoothed(),
            false => self.refresh_smoothed_of(&changed),
        }
    }

    /// Tells of runs whose files somebody has deleted: they have left the list.
    fn report_deleted(&mut self, names: &[String]) {
        self.notice = match names {
            [] => return,
            [one] => Some(format!("{one} was deleted")),
            [first, .., last] => {
                Some(format!("{} runs were deleted, {first} to {last}", names.len()))
            }
        };
    }

    /// Shows running runs, however late they began, unless the user has hidden them. Returns whether
    /// any was shown.
    pub(crate) fn show_running(&mut self) -> bool {
        let now = self.now;
        let runs = |listed: &Listed| listed.run.standing(now).runs();
        let mut shown = self.runs.iter().filter(|listed| listed.shown && runs(listed)).count();
        let before = shown;
        for listed in &mut self.runs {
            if shown >= RUNNING_SHOWN {
                break;
            }
            if listed.said.is_none() && !listed.shown && runs(listed) {
                listed.shown = true;
                shown += 1;
            }
        }
        shown > before
    }

    /// From the path, so that a run keeps its colour; another one while its own is taken.
    fn colour(&self, path: &Path) -> Color {
        let own = crc32fast::hash(path.as_os_str().as_encoded_bytes()) as usize % COLOURS.len();
        let rotated = COLOURS[own..].iter().chain(&COLOURS[..own]);
        let free = |colour: &&Color| self.runs.iter().all(|listed| listed.colour != **colour);
        *rotated.clone().find(free).unwrap_or(&COLOURS[own])
    }

    pub(crate) fn add_load(&mut self, load: Load) {
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(load);
    }
}
