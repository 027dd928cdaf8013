//! Where everything is on the screen. Both `update` and the views compute it from the state.

use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::widgets::Block;

use super::machine::gauge_rows;
use super::page::{MediaContent, Room};
use super::state::{Focus, Panel};

/// Columns and rows of charts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    pub columns: usize,
    pub rows: usize,
}

impl Grid {
    pub(crate) fn charts(self) -> usize {
        self.columns * self.rows
    }
}

/// Minimum size of a chart, while the screen is larger.
const SMALLEST: (u16, u16) = (44, 10);
/// From this width on the list is beside the charts.
pub(crate) const BESIDE: u16 = 100;
/// From this height on the list is above the charts; below, either is visible.
const STACKED: u16 = 18;
/// Width of the list beside the charts.
const LIST: u16 = 40;
/// Width of the list of names on a media tab.
pub(crate) const NAMES: u16 = 26;

/// The parts of the screen.
pub(crate) struct Areas {
    pub list: Option<Rect>,
    pub gauges: Option<Rect>,
    pub charts: Option<Rect>,
    pub status: Rect,
}

/// Divides `screen`, which may differ from the state's until the terminal reports its size.
pub(crate) fn areas(panel: &Panel, screen: Rect) -> Areas {
    let [body, status] =
        Layout::vertical([Constraint::Min(0), Constraint::Length(1)]).areas(screen);
    let (list, charts) = match (panel.charts.open, panel.show_list, screen.width >= BESIDE) {
        _ if panel.table.open => (Some(body), None),
        (false, true, true) => {
            let [list, charts] =
                Layout::horizontal([Constraint::Length(LIST), Constraint::Min(0)]).areas(body);
            (Some(list), Some(charts))
        }
        (false, true, false) if body.height >= STACKED => {
            let rows = (panel.listed().len() as u16 + 2).clamp(4, body.height / 3);
            let [list, charts] =
                Layout::vertical([Constraint::Length(rows), Constraint::Min(0)]).areas(body);
            (Some(list), Some(charts))
        }
        (false, true, false) if panel.focus == Focus::List => (Some(body), None),
        _ => (None, Some(body)),
    };
    // Gauges are below the list, if there is room for both.
    let rows = gauge_rows(panel);
    let (list, gauges) = match list {
        Some(list) if panel.show_gauges && !panel.table.open && list.height > rows + 4 => {
            let [list, gauges] =
                Layout::vertical([Constraint::Min(0), Constraint::Length(rows)]).areas(list);
            (Some(list), Some(gauges))
        }
        list => (list, None),
    };
    Areas { list, gauges, charts, status }
}

/// How many charts are on the screen at a time.
pub(crate) fn grid(panel: &Panel) -> Grid {
    let area = areas(panel, panel.screen).charts.unwrap_or(panel.screen);
    let fit = |length: u16, least: u16| usize::from(length / least).max(1);
    let (columns, rows) = (fit(area.width, SMALLEST.0), fit(area.height, SMALLEST.1));
    // Few charts share the room.
    let count = panel.charts.metrics.len().max(1);
    let columns = columns.min(count);
    Grid { columns, rows: rows.min(count.div_ceil(columns)) }
}

/// Plot and legend of a chart within its border. Only the open chart has a legend.
pub(crate) fn chart_parts(panel: &Panel, metric: &str, inner: Rect) -> (Rect, Option<Rect>) {
    if !panel.charts.open {
        return (inner, None);
    }
    let has = |i: &usize| panel.run(*i).curves.get(metric).is_some();
    // At most a third of the room.
    let rows = (panel.drawn().filter(has).count() as u16).min(inner.height / 3).max(1);
    let [plot, legend] =
        Layout::vertical([Constraint::Min(3), Constraint::Length(rows)]).areas(inner);
    (plot, Some(legend))
}

/// The cells of the open chart that a picture covers.
pub(crate) fn chart_picture(panel: &Panel) -> Option<Rect> {
    if !panel.as_picture() {
        return None;
    }
    let area = areas(panel, panel.screen).charts?;
    let (plot, _) = chart_parts(panel, panel.metric()?, Block::bordered().inner(area));
    Some(plot).filter(|plot| plot.width > 0 && plot.height > 0)
}

/// The page of a run and other windows that fill the screen: all but the status line.
pub(crate) fn page(screen: Rect) -> Rect {
    Rect { height: screen.height.saturating_sub(1), ..screen }
}

/// The part of a page below the tabs.
pub(crate) fn page_body(page: Rect) -> Rect {
    let inner = Block::bordered().inner(page);
    let head = inner.height.min(2);
    Rect { y: inner.y + head, height: inner.height - head, ..inner }
}

/// The parts of a media tab: names, two lines about the step, content.
pub(crate) fn media(body: Rect) -> [Rect; 3] {
    let [names, _, right] =
        Layout::horizontal([Constraint::Length(NAMES), Constraint::Length(1), Constraint::Min(0)])
            .areas(body);
    let [head, rest] = Layout::vertical([Constraint::Length(2), Constraint::Min(0)]).areas(right);
    [names, head, rest]
}

/// Room for a logged picture on the page.
pub(crate) fn picture_room(panel: &Panel) -> Room {
    let [.., rest] = media(page_body(page(panel.screen)));
    // Half-blocks have two pixels a cell.
    let cell = panel.cell.filter(|_| panel.pictures).unwrap_or((1, 2));
    Room { cells: (rest.width, rest.height), cell }
}

/// The cells of the logged picture that the page shows within `body`.
pub(crate) fn picture_cells(panel: &Panel, body: Rect) -> Option<Rect> {
    let loaded = panel.overlays.page()?.data.media.as_ref()?;
    let Ok(MediaContent::Picture(_, (width, height))) = &loaded.content else { return None };
    let [.., rest] = media(body);
    Some(Rect { width: (*width).min(rest.width), height: (*height).min(rest.height), ..rest })
}
