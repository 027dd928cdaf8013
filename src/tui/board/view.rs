//! Draws the panel. Nothing is changed here.

mod chart;
mod gauges;
mod graph;
mod list;
mod machine;
mod media;
mod page;
mod parallel;
mod popup;
mod table;

pub use chart::place_in_words;
pub use table::columns;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

use super::page::Room;
use super::state::{Board, Focus, Sort};
use artgpt_runs::XAxis;

/// How charts are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    pub columns: usize,
    pub rows: usize,
}

impl Grid {
    pub fn charts(self) -> usize {
        self.columns * self.rows
    }
}

/// A chart is not drawn smaller than this while there is room for one.
const SMALLEST: (u16, u16) = (44, 10);
/// Below this width the list stands over the charts, and below this height they take turns.
const BOTH: u16 = 100;
const STACKED: u16 = 18;
const LIST: u16 = 40;

struct Areas {
    list: Option<Rect>,
    gauges: Option<Rect>,
    charts: Option<Rect>,
    status: Rect,
}

/// `screen` is what the terminal has now; the state may not know yet that it has shrunk.
fn areas(board: &Board, screen: Rect) -> Areas {
    let [body, status] =
        Layout::vertical([Constraint::Min(0), Constraint::Length(1)]).areas(screen);
    let (list, charts) = match (board.open, board.show_list, screen.width >= BOTH) {
        _ if board.table => (Some(body), None),
        (false, true, true) => {
            let [list, charts] =
                Layout::horizontal([Constraint::Length(LIST), Constraint::Min(0)]).areas(body);
            (Some(list), Some(charts))
        }
        (false, true, false) if body.height >= STACKED => {
            let rows = (board.listed().len() as u16 + 2).clamp(4, body.height / 3);
            let [list, charts] =
                Layout::vertical([Constraint::Length(rows), Constraint::Min(0)]).areas(body);
            (Some(list), Some(charts))
        }
        (false, true, false) if board.focus == Focus::List => (Some(body), None),
        _ => (None, Some(body)),
    };
    // Gauges stand under the list, where there is room for both.
    let (list, gauges) = match list {
        Some(list)
            if board.show_gauges && !board.table && list.height > gauges::rows(board) + 4 =>
        {
            let [list, gauges] =
                Layout::vertical([Constraint::Min(0), Constraint::Length(gauges::rows(board))])
                    .areas(list);
            (Some(list), Some(gauges))
        }
        list => (list, None),
    };
    Areas { list, gauges, charts, status }
}

/// Where the page of a run shows a logged picture.
pub fn picture_room(board: &Board) -> Room {
    media::room(board, page::body(page_area(board.screen)))
}

/// The cells of the logged picture that the page shows.
pub fn page_picture_cells(board: &Board) -> Option<Rect> {
    media::picture_cells(board, page::body(page_area(board.screen)))
}

fn page_area(screen: Rect) -> Rect {
    Rect { height: screen.height.saturating_sub(1), ..screen }
}

/// The cells of the open chart that a picture covers.
pub fn picture_cells(board: &Board) -> Option<Rect> {
    if !board.as_picture() {
        return None;
    }
    let area = areas(board, board.screen).charts?;
    chart::plot_of(board, area).filter(|plot| plot.width > 0 && plot.height > 0)
}

pub fn grid(board: &Board) -> Grid {
    let area = areas(board, board.screen).charts.unwrap_or(board.screen);
    let fit = |length: u16, least: u16| usize::from(length / least).max(1);
    let (columns, rows) = (fit(area.width, SMALLEST.0), fit(area.height, SMALLEST.1));
    // Few charts share the room.
    let count = board.metrics.len().max(1);
    let columns = columns.min(count);
    Grid { columns, rows: rows.min(count.div_ceil(columns)) }
}

pub fn view(board: &Board, frame: &mut Frame) {
    frame.render_widget(Block::new().style(board.theme.text), frame.area());
    let areas = areas(board, frame.area());
    match areas.list {
        Some(area) if board.table => table::draw(board, area, frame),
        Some(area) => list::draw(board, area, frame),
        None => {}
    }
    if let Some(area) = areas.gauges {
        gauges::draw(board, area, frame);
    }
    if let Some(area) = areas.charts {
        draw_charts(board, area, frame);
    }
    page::draw(board, page_area(frame.area()), frame);
    machine::draw(board, page_area(frame.area()), frame);
    frame.render_widget(Paragraph::new(status(board)), areas.status);
    popup::draw(board, frame);
}

fn draw_charts(board: &Board, area: Rect, frame: &mut Frame) {
    if board.metrics.is_empty() {
        let text = match (board.loaded, board.runs.is_empty()) {
            (false, _) => "reading …",
            (true, true) => "No runs here yet. New ones come up by themselves.",
            (true, false) if !board.charts_with.is_empty() => {
                "No chart is called that; Esc ends the filter."
            }
            (true, false) if board.drawn().next().is_some() => {
                "The runs that are shown have no points yet."
            }
            (true, false) => "No curves to show: Tab, then Space, shows a run's.",
        };
        return frame.render_widget(Paragraph::new(text).style(board.theme.dim), area);
    }
    if board.open {
        return chart::draw(board, board.chart, area, frame);
    }
    let Grid { columns, rows } = grid(board);
    let first = board.chart / (columns * rows) * (columns * rows);
    let lines = Layout::vertical(vec![Constraint::Ratio(1, rows as u32); rows]).split(area);
    for (r, line) in lines.iter().enumerate() {
        let cells =
            Layout::horizontal(vec![Constraint::Ratio(1, columns as u32); columns]).split(*line);
        for (c, cell) in cells.iter().enumerate() {
            let metric = first + r * columns + c;
            if metric < board.metrics.len() {
                chart::draw(board, metric, *cell, frame);
            }
        }
    }
}

/// How the list is ordered.
fn order(board: &Board) -> String {
    let metric = artgpt_base::text::printable(board.metric().unwrap_or("the chart"));
    match board.sort {
        Sort::Found => "as found".to_string(),
        Sort::State => "ordered by state".to_string(),
        Sort::Last => format!("ordered by last {metric}"),
        Sort::Best => format!("ordered by least {metric}"),
        Sort::Greatest => format!("ordered by greatest {metric}, falling"),
    }
}

fn status(board: &Board) -> Line<'static> {
    let theme = &board.theme;
    if let Some(notice) = &board.notice {
        return Line::styled(artgpt_base::text::printable(notice), theme.accent);
    }
    if let Some(focus) = board.filtering {
        let (sign, text) = match focus {
            Focus::List => ("runs with ", &board.filter),
            Focus::Charts => ("charts with ", &board.charts_with),
        };
        let text = format!("{sign}{}▏", artgpt_base::text::printable(text));
        return Line::styled(text, theme.accent);
    }
    let mut words = Vec::new();
    // What hides something comes first.
    let filter = artgpt_base::text::printable(&board.filter);
    words.extend((!filter.is_empty()).then(|| format!("only /{filter} (Esc ends it)")));
    let charts = artgpt_base::text::printable(&board.charts_with);
    words.extend((!charts.is_empty()).then(|| format!("charts with {charts} (Esc ends it)")));
    words.push(match board.scale.axis {
        XAxis::Step => "by step".to_string(),
        XAxis::Relative => "by time".to_string(),
        XAxis::Wall => "by the clock".to_string(),
        XAxis::Epoch => "by epoch".to_string(),
    });
    words.extend(board.scale.log.then(|| "log".to_string()));
    let smoothing = board.scale.smoothing;
    words.extend((smoothing > 0.0).then(|| format!("smoothed {smoothing}")));
    words.extend(board.scale.clip.then(|| "clipped".to_string()));
    words.extend(match board.sort {
        Sort::Found => None,
        _ => Some(order(board)),
    });
    words.push(match (board.follow, board.window) {
        (true, _) => "following".into(),
        (false, Some(_)) => "a stretch".into(),
        (false, None) => "all".into(),
    });
    let pages = board.metrics.len().div_ceil(grid(board).charts()).max(1);
    if pages > 1 && !board.open {
        words.push(format!("page {} of {pages}", board.chart / grid(board).charts() + 1));
    }
    if board.page.is_some() || board.machine.is_some() || board.table {
        return Line::default(); // it names its own keys
    }
    let keys = match board.open {
        _ if board.screen.width < BOTH => "Enter open  Tab list  ? keys",
        true => "Esc back  Left/Right read  +/- zoom  [ ] smooth  ? keys",
        false if board.steers => "Enter open  Tab list/charts  N new job  P pause  X stop  ? keys",
        false => "Enter open  Tab list/charts  Space show  / find  ? keys",
    };
    let keys = format!("  {keys}  q {}", if board.within { "back" } else { "quit" });
    let room = usize::from(board.screen.width).saturating_sub(keys.len());
    Line::from(vec![
        Span::styled(artgpt_base::text::fit(&words.join(" · "), room), theme.accent),
        Span::styled(keys, theme.dim),
    ])
}
