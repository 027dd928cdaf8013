//! Which tab of a page is open, and what of it is visible.

use std::path::PathBuf;

use super::load::{MediaContent, MediaRequest, PageData, Room};
use crate::tui::panel::layout::picture_room;
use crate::tui::panel::state::Panel;
use artgpt_runs::{At, ByTag, Media, Run};

/// The tabs of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tab {
    Overview,
    Config,
    /// Where the configurations of the shown runs differ.
    Differences,
    /// The same as parallel coordinates, with the result as the last axis.
    Parallel,
    Log,
    Events,
    /// The model's answers about the same artworks at each checkpoint.
    Samples,
    Adapters,
    Texts,
    Pictures,
    Sounds,
    Tables,
    Histograms,
    Precision,
    Embeddings,
    /// The network.
    Graph,
}

impl Tab {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Config => "config",
            Self::Differences => "differences",
            Self::Parallel => "parallel",
            Self::Log => "log",
            Self::Events => "events",
            Self::Samples => "samples",
            Self::Adapters => "adapters",
            Self::Texts => "texts",
            Self::Pictures => "pictures",
            Self::Sounds => "sounds",
            Self::Tables => "tables",
            Self::Histograms => "histograms",
            Self::Precision => "precision",
            Self::Embeddings => "embeddings",
            Self::Graph => "graph",
        }
    }

    /// Whether it shows one of several items logged at the same step.
    pub(crate) fn is_one_by_one(self) -> bool {
        matches!(self, Self::Pictures | Self::Sounds)
    }

    /// Whether it shows one of several names at one of several steps.
    pub(crate) fn has_names(self) -> bool {
        matches!(
            self,
            Self::Texts
                | Self::Pictures
                | Self::Sounds
                | Self::Tables
                | Self::Histograms
                | Self::Precision
                | Self::Embeddings
        )
    }
}

/// The tabs that have content for a run.
pub(crate) fn tabs(run: &Run, data: &PageData) -> Vec<Tab> {
    let about = &run.curves.about;
    let mut all =
        vec![Tab::Overview, Tab::Config, Tab::Differences, Tab::Parallel, Tab::Log, Tab::Events];
    // Only our own trainer writes these.
    if run.status.is_some() {
        all.extend([Tab::Samples, Tab::Adapters]);
    }
    let logged = [
        (Tab::Texts, about.texts.is_empty()),
        (Tab::Pictures, about.pictures.is_empty()),
        (Tab::Sounds, about.sounds.is_empty()),
        (Tab::Tables, about.tables.is_empty()),
        (Tab::Histograms, about.histograms.is_empty()),
        (Tab::Precision, about.precision.is_empty()),
        (Tab::Embeddings, data.embeddings.is_empty()),
        (Tab::Graph, about.graph.is_none()),
    ];
    all.extend(logged.into_iter().filter(|(_, empty)| !empty).map(|(tab, _)| tab));
    all
}

/// An open page.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub run: PathBuf,
    pub tab: Tab,
    /// Lines scrolled; from the end in a log.
    pub scroll: usize,
    /// Position of the selected name, on tabs with names.
    pub name: usize,
    /// Steps before the newest one, columns scrolled, or additional levels.
    pub back: usize,
    /// Columns of a logged table scrolled off the left edge.
    pub column: usize,
    pub data: PageData,
    /// A request is under way.
    pub loading: bool,
}

impl Page {
    pub(crate) fn new(run: PathBuf) -> Self {
        let (scroll, name, back, column) = (0, 0, 0, 0);
        let data = PageData::default();
        Self { run, tab: Tab::Overview, scroll, name, back, column, data, loading: false }
    }

    /// Switches to the next tab, or to the one before.
    pub(crate) fn turn(&mut self, tabs: &[Tab], by: isize) {
        let at = tabs.iter().position(|tab| *tab == self.tab).unwrap_or(0);
        let next = (at as isize + by).rem_euclid(tabs.len().max(1) as isize) as usize;
        self.tab = tabs.get(next).copied().unwrap_or(Tab::Overview);
        (self.scroll, self.name, self.back, self.column) = (0, 0, 0, 0);
    }

    /// The selected name, and what was logged under it at the selected step.
    pub(crate) fn chosen<'a, T>(&self, all: &'a ByTag<T>) -> Option<(&'a str, &'a [At<T>])> {
        let (name, list) = all.iter().nth(self.name.min(all.len().saturating_sub(1)))?;
        let steps: Vec<&[At<T>]> = list.chunk_by(|a, b| a.step == b.step).collect();
        let at = steps.len().checked_sub(1)?.saturating_sub(self.back);
        Some((name, steps[at]))
    }

    /// Which of several items at one step is visible.
    pub(crate) fn one_of<'a, T>(&self, at: &'a [At<T>]) -> Option<&'a At<T>> {
        at.get(self.scroll.min(at.len().saturating_sub(1)))
    }

    /// The media that the open tab needs.
    pub(crate) fn media_request(&self, run: &Run, room: Room) -> Option<MediaRequest> {
        let about = &run.curves.about;
        let one = |all: &ByTag<Media>| Some(self.one_of(self.chosen(all)?.1)?.what.clone());
        match self.tab {
            Tab::Pictures => Some(MediaRequest::Picture(one(&about.pictures)?, room)),
            Tab::Sounds => Some(MediaRequest::Sound(one(&about.sounds)?)),
            // The scroll position is that within the table.
            Tab::Tables => {
                let (_, at) = self.chosen(&about.tables)?;
                Some(MediaRequest::Table(at.first()?.what.clone()))
            }
            Tab::Embeddings => {
                let (_, at) = self.chosen(&self.data.embeddings)?;
                Some(MediaRequest::Embedding(at.first()?.what.clone()))
            }
            _ => None,
        }
    }

    /// The answer to `request`, if it is there; never that to an earlier one.
    pub(crate) fn media(&self, request: &MediaRequest) -> Option<&Result<MediaContent, String>> {
        let loaded = self.data.media.as_ref().filter(|loaded| loaded.request == *request);
        loaded.map(|loaded| &loaded.content)
    }
}

impl Panel {
    /// The run whose page is open.
    pub(crate) fn page_run(&self) -> Option<&Run> {
        self.run_at(&self.overlays.page()?.run)
    }

    /// The media that the open page needs.
    pub(crate) fn media_request(&self) -> Option<MediaRequest> {
        self.overlays.page()?.media_request(self.page_run()?, picture_room(self))
    }

    /// The shown runs besides the page's own one.
    pub(crate) fn page_others(&self) -> Vec<usize> {
        let own = self.overlays.page().and_then(|page| self.index_of(&page.run));
        self.drawn().filter(|i| Some(*i) != own).collect()
    }
}

/// How many steps something was logged at.
pub(crate) fn steps<T>(list: &[At<T>]) -> usize {
    list.chunk_by(|a, b| a.step == b.step).count()
}
