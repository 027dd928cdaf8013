//! What the panel shows.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLockReadGuard};
use std::time::SystemTime;

use ratatui::layout::Rect;
use ratatui::style::Color;
use serde::{Deserialize, Serialize};

use super::filter::holds;
use super::form::{Form, FormWindow};
use super::kept::{self, Said};
use super::machine::MachineWindow;
use super::notes::Notes;
use super::page::{Asked, Page};
use super::view::picture_room;
use crate::tui::graphics::ColourDepth;
use crate::tui::theme::Theme;
use artgpt_machine::Load;
use artgpt_rundir::RunState;
use artgpt_runs::{Clock, Run, SYSTEM, Series, Settings, Shared, Smoothed, Standing, XAxis};

pub struct Board {
    pub theme: Theme,
    pub screen: Rect,
    /// In the order in which they were found.
    pub runs: Vec<Listed>,
    /// All that was there at the start has been read.
    pub loaded: bool,
    pub focus: Focus,
    /// Place in [`Self::listed`] at which the cursor was last.
    pub cursor: usize,
    /// The run under it: the cursor stays there whatever becomes of the order.
    pub on: Option<usize>,
    /// Runs without this in their path are not listed.
    pub filter: String,
    /// Only charts with this in their names.
    pub charts_with: String,
    /// Which of the two is being typed.
    pub filtering: Option<Focus>,
    pub show_list: bool,
    /// The runs are a table as large as the screen.
    pub table: bool,
    /// Keys of their configurations in which the listed runs differ, while the table is open.
    pub keys: Vec<String>,
    /// Of which runs that is, and of which state of their configurations.
    keys_of: Vec<(usize, u64)>,
    /// So many columns are left of the screen.
    pub column: usize,
    /// Names of the metrics of all runs that are shown.
    pub metrics: Vec<String>,
    /// Place in [`Self::metrics`].
    pub chart: usize,
    /// One chart fills the screen.
    pub open: bool,
    pub scale: Scale,
    /// Held-out metrics stand in the charts of their training metrics.
    pub unite: bool,
    /// Those that do, by the names of the charts.
    pub partners: HashMap<String, Vec<String>>,
    /// A chart that is chosen as soon as it is there, and whether it is opened.
    pub wanted_chart: Option<(String, bool)>,
    /// A run that the cursor goes to as soon as all is there.
    pub wanted_run: Option<String>,
    /// What the user said of runs at earlier starts.
    pub remembered: BTreeMap<String, Said>,
    /// The paths that are watched, as one text.
    pub place: String,
    /// What was kept last; `None` before that of earlier starts was read.
    pub kept: Option<kept::State>,
    /// What of the horizontal axis is seen; `None` is all of it.
    pub window: Option<(f64, f64)>,
    /// The window moves along with the newest point.
    pub follow: bool,
    /// Where exact values are read, on the open chart.
    pub reading: Option<f64>,
    /// By run and metric, of the weight in [`Scale::smoothing`].
    pub smoothed: HashMap<(usize, String), Smoothed>,
    pub help: bool,
    /// Lines of the help that are scrolled away.
    pub help_scroll: usize,
    /// The page of one run fills the screen.
    pub page: Option<Page>,
    pub form: Option<FormWindow>,
    /// What was typed into the form last.
    pub draft: Form,
    /// What is done to runs if the user says yes.
    pub asking: Option<Asking>,
    /// A note while it is typed.
    pub noting: Option<Noting>,
    pub notes: Notes,
    pub sort: Sort,
    /// It stands over the conversation, to which `q` goes back.
    pub within: bool,
    /// Jobs can be steered from here.
    pub steers: bool,
    /// Looks at the machine, the newest last.
    pub history: VecDeque<Load>,
    pub machine: Option<MachineWindow>,
    pub show_gauges: bool,
    pub colours: ColourDepth,
    /// The terminal shows pictures: pixels of a cell, where the open chart is one.
    pub cell: Option<(u16, u16)>,
    pub pictures: bool,
    /// Keys so far.
    pub pressed: u64,
    pub notice: Option<String>,
}

/// What the user is asked before it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    Stop,
    Remove,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    pub runs: Vec<PathBuf>,
    /// How many marked ones it cannot be done to.
    pub others: usize,
    pub question: Question,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noting {
    pub runs: Vec<PathBuf>,
    pub note: String,
}

/// In what order runs are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    #[default]
    /// As they were found: by their paths, new ones last.
    Found,
    /// Those that go on first.
    State,
    /// By the last value of the chosen chart's metric, the lowest first.
    Last,
    /// By its lowest value.
    Best,
    /// By its greatest value, the greatest first.
    Greatest,
}

impl Sort {
    pub fn next(self) -> Self {
        match self {
            Self::Found => Self::State,
            Self::State => Self::Last,
            Self::Last => Self::Best,
            Self::Best => Self::Greatest,
            Self::Greatest => Self::Found,
        }
    }
}

/// A run in the list.
pub struct Listed {
    pub run: Shared,
    pub colour: Color,
    pub shown: bool,
    /// The user's own word on whether it is shown.
    pub said: Option<bool>,
    /// Stands above the others.
    pub pinned: bool,
    /// One of those that the next key is for.
    pub marked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Focus {
    List,
    Charts,
}

/// How curves are drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scale {
    pub axis: XAxis,
    pub log: bool,
    /// Weight of the moving average; 0 is none.
    pub smoothing: f64,
    /// The vertical axis leaves out the outermost twentieths.
    pub clip: bool,
}

/// The colours that a terminal has in any theme.
pub const COLOURS: [Color; 12] = [
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

/// Charts of more runs than this are not readable; the others can be switched on.
const SHOWN_AT_FIRST: usize = 10;
/// Those that go on are shown besides, up to so many at a time.
const LIVE_SHOWN: usize = 24;

/// Columns of configuration; more nobody turns over.
const MOST_KEYS: usize = 1_000;

/// Looks at the machine that are kept: about ten minutes.
const LOOKS: usize = 300;

impl Board {
    pub fn new(theme: Theme, screen: Rect) -> Self {
        Self {
            theme,
            screen,
            runs: Vec::new(),
            loaded: false,
            focus: Focus::List,
            cursor: 0,
            on: None,
            filter: String::new(),
            charts_with: String::new(),
            filtering: None,
            show_list: true,
            table: false,
            keys: Vec::new(),
            keys_of: Vec::new(),
            column: 0,
            metrics: Vec::new(),
            chart: 0,
            open: false,
            scale: Scale::default(),
            unite: true,
            partners: HashMap::new(),
            wanted_chart: None,
            wanted_run: None,
            remembered: BTreeMap::new(),
            place: String::new(),
            kept: None,
            window: None,
            follow: false,
            reading: None,
            smoothed: HashMap::new(),
            help: false,
            help_scroll: 0,
            page: None,
            form: None,
            draft: Form::default(),
            asking: None,
            noting: None,
            notes: Notes::new(),
            sort: Sort::Found,
            within: false,
            steers: false,
            history: VecDeque::new(),
            machine: None,
            show_gauges: false,
            colours: ColourDepth::Indexed256,
            cell: None,
            pictures: true,
            pressed: 0,
            notice: None,
        }
    }

    pub fn looked(&mut self, load: Load) {
        if self.history.len() == LOOKS {
            self.history.pop_front();
        }
        self.history.push_back(load);
    }

    pub fn add(&mut self, new: Vec<Shared>) {
        for run in new {
            let shown = self.runs.len() < SHOWN_AT_FIRST;
            let path = run.read().unwrap_or_else(PoisonError::into_inner).path.clone();
            let colour = self.colour(&path);
            self.runs.push(Listed { run, colour, shown, said: None, pinned: false, marked: false });
            self.remember(self.runs.len() - 1, &path);
        }
    }

    /// Shows runs that go on, whenever they began, unless the user has hidden them.
    pub fn show_live(&mut self) {
        let now = SystemTime::now();
        let runs = |board: &Self, i: usize| board.run(i).standing(now).runs();
        let is_live = |i: &usize| self.runs[*i].shown && runs(self, *i);
        let mut shown = (0..self.runs.len()).filter(is_live).count();
        for i in 0..self.runs.len() {
            let listed = &self.runs[i];
            if shown < LIVE_SHOWN && listed.said.is_none() && !listed.shown && runs(self, i) {
                self.runs[i].shown = true;
                shown += 1;
            }
        }
    }

    /// By the run's path, so that it is the same tomorrow; another one while its own is taken.
    fn colour(&self, path: &Path) -> Color {
        let own = crc32fast::hash(path.as_os_str().as_encoded_bytes()) as usize % COLOURS.len();
        let turned = COLOURS[own..].iter().chain(&COLOURS[..own]);
        let free = |colour: &&Color| self.runs.iter().all(|listed| listed.colour != **colour);
        *turned.clone().find(free).unwrap_or(&COLOURS[own])
    }

    /// This run is shown, whether it is there already or comes later.
    pub fn wants(&mut self, path: &Path) {
        let said = Said { shown: Some(true), pinned: false };
        self.remembered.insert(path.display().to_string(), said);
        if let Some(place) = self.index_of(path) {
            self.remember(place, path);
            self.refresh_metrics();
        }
    }

    /// What the user said of a run at an earlier start holds again.
    pub fn remember(&mut self, run: usize, path: &Path) {
        let Some(said) = self.remembered.get(&path.display().to_string()) else { return };
        let listed = &mut self.runs[run];
        (listed.said, listed.pinned) = (said.shown, said.pinned);
        listed.shown = said.shown.unwrap_or(listed.shown);
    }

    /// Numbers of the runs in the list: pinned ones first, as filter and order have it.
    pub fn listed(&self) -> Vec<usize> {
        let holds = |i: &usize| {
            let run = self.run(*i);
            !run.gone && (self.filter.is_empty() || holds(&self.filter, &run, &self.note(&run)))
        };
        let mut all: Vec<usize> = (0..self.runs.len()).filter(holds).collect();
        match self.sort {
            Sort::Found => {}
            Sort::State => {
                let now = SystemTime::now();
                all.sort_by_cached_key(|i| rank_of(self.run(*i).standing(now)));
            }
            Sort::Last | Sort::Best | Sort::Greatest => {
                // Taken once: a run that grows meanwhile must not confuse the order.
                let value = |i: usize| (self.sorted_by(i).unwrap_or(f64::INFINITY), i);
                let mut keyed: Vec<(f64, usize)> = all.iter().map(|i| value(*i)).collect();
                keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
                all = keyed.into_iter().map(|(_, i)| i).collect();
            }
        }
        all.sort_by_key(|i| !self.runs[*i].pinned);
        all
    }

    /// The user's note and tags on a run, else those that the run brought.
    pub fn note(&self, run: &Run) -> String {
        let own = self.notes.get(&run.path).cloned();
        own.unwrap_or_else(|| run.curves.about.remarks())
    }

    /// The value that the list is ordered by.
    pub fn sorted_by(&self, run: usize) -> Option<f64> {
        let run = self.run(run);
        let series = run.curves.get(self.metric()?)?;
        match self.sort {
            Sort::Best => Some(series.extremes(0..series.len())?.min),
            // The list is in rising order.
            Sort::Greatest => Some(-series.extremes(0..series.len())?.max),
            _ => Some(series.last()?.value),
        }
    }

    /// Folders and logged configurations of the runs whose curves are drawn, but not that of `but`.
    pub fn others(&self, but: &Path) -> Vec<(PathBuf, Settings)> {
        let all = self.drawn().map(|i| {
            let run = self.run(i);
            (run.path.clone(), run.curves.about.settings.clone())
        });
        all.filter(|(path, _)| path != but).collect()
    }

    /// The run whose page is open.
    pub fn paged(&self) -> Option<RwLockReadGuard<'_, Run>> {
        let path = &self.page.as_ref()?.run;
        self.run_at(path)
    }

    /// What has to be read for what the open page shows.
    pub fn asked(&self) -> Option<Asked> {
        self.page.as_ref()?.asked(&*self.paged()?, picture_room(self))
    }

    /// The open chart is a picture.
    pub fn as_picture(&self) -> bool {
        let has_reader = self.reading.is_some();
        self.open && self.pictures && self.cell.is_some() && !has_reader && !self.is_busy()
    }

    /// A window that takes the keys is open.
    pub fn is_busy(&self) -> bool {
        self.help
            || self.page.is_some()
            || self.form.is_some()
            || self.machine.is_some()
            || self.asking.is_some()
            || self.noting.is_some()
    }

    /// Numbers of the runs whose curves are drawn.
    pub fn drawn(&self) -> impl Iterator<Item = usize> + '_ {
        let shown = self.runs.iter().enumerate().filter(|(_, listed)| listed.shown);
        shown.map(|(i, _)| i).filter(|i| !self.run(*i).gone)
    }

    /// The run under the cursor.
    pub fn chosen(&self) -> Option<usize> {
        let listed = self.listed();
        listed.get(self.place(&listed)).copied()
    }

    /// Where the cursor stands among the listed runs.
    pub fn place(&self, listed: &[usize]) -> usize {
        let on = self.on.and_then(|run| listed.iter().position(|i| *i == run));
        on.unwrap_or(self.cursor.min(listed.len().saturating_sub(1)))
    }

    pub fn go_to(&mut self, place: usize) {
        self.go_where(|_, _| place);
    }

    pub fn move_by(&mut self, by: isize) {
        self.go_where(|board, listed| board.place(listed).saturating_add_signed(by));
    }

    fn go_where(&mut self, place: impl FnOnce(&Self, &[usize]) -> usize) {
        let listed = self.listed();
        self.cursor = place(self, &listed).min(listed.len().saturating_sub(1));
        self.on = listed.get(self.cursor).copied();
    }

    /// After something has changed: the cursor has a run where there is one, from when all is there.
    pub fn settle(&mut self) {
        if self.loaded || self.on.is_some() {
            self.move_by(0);
        }
    }

    /// The listed runs that are marked, or the one under the cursor where none is.
    pub fn targets(&self) -> Vec<usize> {
        let listed = self.listed();
        let marked: Vec<usize> = listed.iter().copied().filter(|i| self.runs[*i].marked).collect();
        if marked.is_empty() {
            listed.get(self.place(&listed)).copied().into_iter().collect()
        } else {
            marked
        }
    }

    /// Which run is in this place.
    pub fn index_of(&self, path: &Path) -> Option<usize> {
        (0..self.runs.len()).find(|i| self.run(*i).path == path)
    }

    pub fn run_at(&self, path: &Path) -> Option<RwLockReadGuard<'_, Run>> {
        self.index_of(path).map(|i| self.run(i))
    }

    pub fn run(&self, index: usize) -> RwLockReadGuard<'_, Run> {
        self.runs[index].run.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn metric(&self) -> Option<&str> {
        self.metrics.get(self.chart).map(String::as_str)
    }

    /// Looks again which metrics there are, and keeps the chart that was chosen.
    pub fn refresh_metrics(&mut self) {
        let chosen = self.metric().map(String::from);
        let mut names = BTreeSet::new();
        for i in self.drawn().collect::<Vec<_>>() {
            names.extend(self.run(i).curves.iter().map(|(name, _)| name.to_string()));
        }
        let mut names: Vec<String> = names.into_iter().collect();
        self.partners.clear();
        if self.unite {
            let partners = super::split::partners(&names);
            let moved: HashSet<&String> = partners.iter().map(|(held_out, _)| held_out).collect();
            names.retain(|name| !moved.contains(name));
            for (held_out, chart) in partners {
                self.partners.entry(chart).or_default().push(held_out);
            }
        }
        let wanted = self.charts_with.to_lowercase();
        let holds = |name: &String| name.to_lowercase().contains(&wanted);
        let partners = &self.partners;
        // One whose held-out curve is meant is that curve's chart.
        names.retain(|name| {
            wanted.is_empty()
                || holds(name)
                || partners.get(name).is_some_and(|held_out| held_out.iter().any(holds))
        });
        // What people look at first comes first.
        names.sort_by_key(|name| (rank(name), name.clone()));
        self.metrics = names;
        let place = chosen.and_then(|name| self.metrics.iter().position(|m| *m == name));
        self.chart = place.unwrap_or(0);
        if let Some((wanted, open)) = &self.wanted_chart
            && let Some(place) = self.metrics.iter().position(|metric| metric == wanted)
        {
            (self.chart, self.open) = (place, *open);
            self.wanted_chart = None;
        }
        self.open &= !self.metrics.is_empty();
        self.refresh_keys();
    }

    /// The metrics that stand in a chart.
    pub fn charted<'a>(&'a self, metric: &'a str) -> impl Iterator<Item = &'a str> {
        let partners = self.partners.get(metric).into_iter().flatten();
        std::iter::once(metric).chain(partners.map(String::as_str))
    }

    /// Looks again in what the listed runs differ.
    pub fn refresh_keys(&mut self) {
        let listed = if self.table { self.listed() } else { Vec::new() };
        let of: Vec<(usize, u64)> = listed.iter().map(|i| (*i, self.run(*i).configured)).collect();
        if of == self.keys_of {
            return;
        }
        let all: Vec<_> = listed.into_iter().map(|i| self.run(i)).collect();
        let mut keys = artgpt_runs::differing_keys(all.iter().map(|run| &run.config));
        drop(all);
        keys.truncate(MOST_KEYS);
        (self.keys, self.keys_of) = (keys, of);
    }

    /// Brings the averages of what is drawn up to date.
    pub fn refresh_smoothed(&mut self) {
        let weight = self.scale.smoothing;
        if weight == 0.0 {
            return self.smoothed.clear();
        }
        let drawn: Vec<usize> = self.drawn().collect();
        self.smoothed.retain(|(run, _), s| s.weight() == weight && drawn.contains(run));
        let mut smoothed = std::mem::take(&mut self.smoothed);
        for i in drawn {
            for (name, series) in self.run(i).curves.iter() {
                smoothed
                    .entry((i, name.to_string()))
                    .or_insert_with(|| Smoothed::new(weight))
                    .follow(series);
            }
        }
        self.smoothed = smoothed;
    }

    /// From the first to the last point of the runs that are drawn, on the axis as it is.
    pub fn whole(&self, metric: &str) -> Option<(f64, f64)> {
        let mut all: Option<(f64, f64)> = None;
        for i in self.drawn() {
            let run = self.run(i);
            let clock = run.clock(self.scale.axis);
            let Some((series, clock)) = run.curves.get(metric).zip(clock) else { continue };
            let x = |at: usize| series.x(at, clock);
            // The first points may have no time.
            let first = series.within(clock, f64::NEG_INFINITY, f64::INFINITY).start;
            if let (Some(low), Some(high)) = (x(first), x(series.len().saturating_sub(1))) {
                let (a, b) = all.unwrap_or((low, high));
                all = Some((a.min(low), b.max(high)));
            }
        }
        all
    }

    /// All has been read once: what did not come up by now is not waited for.
    pub fn all_read(&mut self) {
        self.loaded = true;
        self.wanted_chart = None;
        if let Some(path) = self.wanted_run.take() {
            let place = |i: &usize| self.run(*i).path.display().to_string() == path;
            let place = self.listed().iter().position(place).unwrap_or(0);
            self.go_to(place);
        }
    }

    /// What of the horizontal axis a chart shows.
    pub fn seen(&self, metric: &str) -> Option<(f64, f64)> {
        let (low, high) = self.whole(metric)?;
        match self.window {
            None => Some((low, high)),
            Some((from, to)) if self.follow => Some((high - (to - from), high)),
            Some(window) => Some(window),
        }
    }
}

/// The last point at or before `x`, as exact as it was read.
pub fn value_at(series: &Series, clock: Clock, x: f64) -> Option<artgpt_runs::Point> {
    // The next larger number, so that a point at x counts.
    let upto = series.within(clock, f64::NEG_INFINITY, x.next_up()).end;
    series.get(upto.checked_sub(1)?)
}

/// What goes on comes first, then what needs somebody.
fn rank_of(standing: Standing) -> u8 {
    match standing {
        standing if standing.runs() => 0,
        Standing::Told(RunState::Queued) => 1,
        Standing::Told(RunState::Paused) => 2,
        Standing::Told(RunState::Failed) | Standing::Lost => 3,
        Standing::Told(RunState::Stopped) => 4,
        _ => 5,
    }
}

fn rank(name: &str) -> u8 {
    let lower = name.to_lowercase();
    match () {
        () if name.starts_with(SYSTEM) => 5,
        () if lower.contains("loss") => 0,
        () if lower.contains("acc") => 1,
        () if lower == "lr" || lower.contains("learning_rate") => 2,
        () if lower.contains("grad") => 3,
        () => 4,
    }
}
