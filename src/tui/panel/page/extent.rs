//! How far the open tab can be scrolled.

use super::load::MediaContent;
use super::state::{Page, Tab, steps};
use super::{adapters, differences, events, graph, overview, parallel};
use crate::tui::panel::layout;
use crate::tui::panel::state::Panel;
use artgpt_base::text::printable_lines;
use artgpt_runs::{ByTag, Run};

/// The size of what the open tab shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Selectable names.
    pub names: usize,
    /// Selectable steps, columns or levels.
    pub steps: usize,
    /// Maximum of [`Page::scroll`].
    pub scroll: usize,
    /// Maximum of [`Page::column`].
    pub columns: usize,
}

impl Panel {
    /// The extent of the open tab on the current screen.
    pub(crate) fn page_extent(&self) -> Extent {
        let Some((page, run)) = self.overlays.page().zip(self.page_run()) else {
            return Extent::default();
        };
        let about = &run.curves.about;
        let names = match page.tab {
            Tab::Texts => of_names(&about.texts, page),
            Tab::Pictures => of_names(&about.pictures, page),
            Tab::Sounds => of_names(&about.sounds, page),
            Tab::Tables => of_names(&about.tables, page),
            Tab::Histograms => of_names(&about.histograms, page),
            Tab::Precision => of_names(&about.precision, page),
            Tab::Embeddings => of_names(&page.data.embeddings, page),
            _ => Extent::default(),
        };
        let body = layout::page_body(layout::page(self.screen));
        let [.., content] = layout::media(body);
        let room = usize::from(body.height);
        let lines = |count: usize| Extent { scroll: count.saturating_sub(room), ..names };
        match page.tab {
            Tab::Overview => lines(overview::count(self, run, page)),
            Tab::Config => lines(page.data.settings.len()),
            Tab::Differences => Extent {
                // The run's own column stays.
                steps: page.data.compared.len().saturating_sub(1),
                ..lines(differences::count(self, page))
            },
            Tab::Parallel => Extent { steps: parallel::hidden_axes(page, body.width) + 1, ..names },
            Tab::Log => lines(log(run, page).len()),
            Tab::Events => lines(events::count(run)),
            Tab::Adapters => lines(adapters::count(page)),
            Tab::Samples => Extent { scroll: page.data.samples.len().saturating_sub(1), ..names },
            Tab::Graph => {
                Extent { steps: graph::hidden_levels(run) + 1, ..lines(graph::count(run, page)) }
            }
            Tab::Texts => {
                let text = texts(run, page);
                let width = usize::from(content.width.max(1));
                let rows = text.lines().map(|line| textwrap::wrap(line, width).len().max(1));
                let rows = rows.sum::<usize>();
                Extent { scroll: rows.saturating_sub(usize::from(content.height)), ..names }
            }
            Tab::Pictures => Extent { scroll: last_of_step(&about.pictures, page), ..names },
            Tab::Sounds => Extent { scroll: last_of_step(&about.sounds, page), ..names },
            Tab::Tables => match page.data.media.as_ref().map(|media| &media.content) {
                Some(Ok(MediaContent::Table(rows))) => Extent {
                    // A head and a foot.
                    scroll: rows
                        .rows
                        .len()
                        .saturating_sub(usize::from(content.height.saturating_sub(2))),
                    columns: rows.columns.len().saturating_sub(1),
                    ..names
                },
                _ => names,
            },
            Tab::Histograms | Tab::Precision | Tab::Embeddings => names,
        }
    }

    /// Keeps the scroll position of the page within its extent.
    pub(crate) fn clamp_page(&mut self) {
        let extent = self.page_extent();
        if let Some(page) = self.overlays.page_mut() {
            page.scroll = page.scroll.min(extent.scroll);
            page.column = page.column.min(extent.columns);
        }
    }
}

/// The lines of the log: of the file, else those that the run logged.
pub(crate) fn log(run: &Run, page: &Page) -> Vec<String> {
    match page.data.log.is_empty() {
        true => run.curves.about.console.told(),
        false => page.data.log.clone(),
    }
}

/// What the texts tab shows.
pub(crate) fn texts(run: &Run, page: &Page) -> String {
    let chosen = page.chosen(&run.curves.about.texts);
    let all = chosen.iter().flat_map(|(_, at)| at.iter());
    all.map(|at| printable_lines(&at.what)).collect::<Vec<_>>().join("\n\n")
}

fn of_names<T>(all: &ByTag<T>, page: &Page) -> Extent {
    let list = all.values().nth(page.name.min(all.len().saturating_sub(1)));
    Extent { names: all.len(), steps: list.map_or(0, |list| steps(list)), ..Extent::default() }
}

fn last_of_step<T>(all: &ByTag<T>, page: &Page) -> usize {
    page.chosen(all).map_or(0, |(_, at)| at.len() - 1)
}
