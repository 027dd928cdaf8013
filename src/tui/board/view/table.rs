//! The runs as a table as large as the screen: how they stand, what came of them, and what they were
//! told where that differs.

use std::time::SystemTime;

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::Style;
use ratatui::text::Span;
use ratatui::widgets::{Block, Cell, Row, Table};

use super::list::{mark, standing_style};
use crate::tui::board::state::Board;
use artgpt_base::text::{duration, fit, number, printable};
use artgpt_runs::{Run, Series};

/// Columns of a run's name, and of a value of its configuration.
const NAME: u16 = 30;
const VALUE: u16 = 14;
/// The columns behind the name and before the configuration, and their widths.
const HEADS: [(&str, u16); 7] = [
    ("state", 9),
    ("step", 13),
    ("left", 8),
    ("last", 11),
    ("least", 11),
    ("greatest", 11),
    ("tags, note", VALUE),
];

/// How many columns can be turned over: all but the name.
pub fn columns(board: &Board) -> usize {
    HEADS.len() + board.keys.len()
}

pub fn draw(board: &Board, area: Rect, frame: &mut Frame) {
    let theme = &board.theme;
    let listed = board.listed();
    let metric = board.metric().unwrap_or("");
    let marked = listed.iter().filter(|i| board.runs[**i].marked).count();
    let marked = if marked > 0 { format!(" · {marked} marked") } else { String::new() };
    // What hides some is told.
    let only = match board.filter.as_str() {
        "" => String::new(),
        filter => format!(" · only /{}", printable(filter)),
    };
    let (count, order) = (listed.len(), super::order(board));
    let title = format!(" {count} runs{only}{marked} · values of {} · {order} ", printable(metric));
    let block = Block::bordered().title(fit(&title, usize::from(area.width))).title_bottom(
        " Enter: its page   [ ]: metric   Left, Right: columns   S: order   /: find   Esc: back ",
    );
    let block = block.border_style(theme.accent);
    let inner = block.inner(area);
    let room = usize::from(inner.height.saturating_sub(1)).max(1);
    let place = board.place(&listed);
    // The page of rows on which the cursor stands.
    let first = place / room * room;
    let name = NAME.min(inner.width / 3);
    let shown = shown(board, inner.width.saturating_sub(name + 4));
    let heads = [String::new(), "run".to_string()].into_iter();
    let heads = heads.chain(shown.iter().map(|at| match HEADS.get(*at) {
        Some((name, _)) => name.to_string(),
        None => tail(&printable(&board.keys[at - HEADS.len()])),
    }));
    let heads = Row::new(heads.collect::<Vec<_>>()).style(theme.dim);
    let now = SystemTime::now();
    let rows = listed.iter().enumerate().skip(first).take(room).map(|(at, i)| {
        let entry = &board.runs[*i];
        let run = board.run(*i);
        let mut cells = vec![
            Cell::from(Span::styled(mark(entry), Style::new().fg(entry.colour))),
            Cell::from(fit(&printable(run.title().unwrap_or(&run.name)), name.into())),
        ];
        cells.extend(shown.iter().map(|column| cell(board, &run, *column, metric, now)));
        let row = Row::new(cells).style(theme.text);
        if at == place { row.style(theme.selected) } else { row }
    });
    let widths = [2, name].into_iter().chain(shown.iter().map(|at| width(*at)));
    let widths = widths.map(Constraint::Length).collect::<Vec<_>>();
    let table = Table::new(rows.collect::<Vec<_>>(), widths).header(heads).block(block);
    frame.render_widget(table, area);
}

fn width(column: usize) -> u16 {
    HEADS.get(column).map_or(VALUE, |(_, width)| *width)
}

/// The columns that have room, from the one that Right has come to.
fn shown(board: &Board, room: u16) -> Vec<usize> {
    let mut used = 0;
    let fits = |at: &usize| {
        used += width(*at) + 1;
        used <= room
    };
    let first = board.column.min(columns(board) - 1);
    (first..columns(board)).take_while(fits).collect()
}

fn cell(board: &Board, run: &Run, column: usize, metric: &str, now: SystemTime) -> Cell<'static> {
    let theme = &board.theme;
    let value = |of: &dyn Fn(&Series) -> Option<f64>| {
        Cell::from(run.curves.get(metric).and_then(of).map_or(String::new(), number))
    };
    let extremes = |series: &Series| series.extremes(0..series.len());
    match column {
        0 => {
            let standing = run.standing(now);
            Cell::from(Span::styled(standing.word(), standing_style(standing, theme)))
        }
        1 => Cell::from(run.steps()),
        2 => Cell::from(run.left(now).map_or(String::new(), duration)),
        3 => value(&|series| Some(series.last()?.value)),
        4 => value(&|series| Some(extremes(series)?.min)),
        5 => value(&|series| Some(extremes(series)?.max)),
        6 => {
            let note = fit(&printable(&board.note(run)), VALUE.into());
            Cell::from(Span::styled(note, theme.dim))
        }
        key => {
            let told = board.keys.get(key - HEADS.len()).and_then(|key| run.config.get(key));
            Cell::from(fit(&printable(told.map_or("-", String::as_str)), VALUE.into()))
        }
    }
}

/// Of a long key its end, which tells it from its neighbours.
fn tail(key: &str) -> String {
    let room = usize::from(VALUE);
    match key.chars().count() {
        short if short <= room => key.to_string(),
        long => "…".chars().chain(key.chars().skip(long + 1 - room)).collect(),
    }
}
