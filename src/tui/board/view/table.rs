//! The runs as a table as large as the screen: how they stand, what came of them, and what they were
//! told where that differs.

use std::time::SystemTime;

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::Style;
use ratatui::text::Span;
use ratatui::widgets::{Block, Cell, Row, Table};

use super::list::{mark, standing_style};
use crate::runs::{Run, Series};
use crate::text::{duration, fit, number, printable};
use crate::tui::board::state::Board;

/// Columns of a run's name, and of a value of its configuration.
const NAME: u16 = 30;
const VALUE: u16 = 14;
/// The columns before the configuration, and their widths.
const HEADS: [(&str, u16); 9] = [
    ("", 2),
    ("run", NAME),
    ("state", 9),
    ("step", 13),
    ("left", 8),
    ("last", 11),
    ("least", 11),
    ("greatest", 11),
    ("tags, note", VALUE),
];

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
    let title = format!(" {} runs{only}{marked} · values of {} ", listed.len(), printable(metric));
    let block = Block::bordered().title(fit(&title, usize::from(area.width))).title_bottom(
        " Enter: its page   [ ]: metric   Left, Right: configuration   S: order   /: find   w, Esc: back ",
    );
    let block = block.border_style(theme.accent);
    let room = usize::from(block.inner(area).height.saturating_sub(1)).max(1);
    // The page of rows on which the cursor stands.
    let first = board.cursor / room * room;
    let keys: Vec<&String> = board.keys.iter().skip(board.column).collect();
    let heads = HEADS.iter().map(|(name, _)| name.to_string());
    let heads = heads.chain(keys.iter().map(|key| tail(&printable(key))));
    let heads = Row::new(heads.collect::<Vec<_>>()).style(theme.dim);
    let now = SystemTime::now();
    let rows = listed.iter().enumerate().skip(first).take(room).map(|(at, i)| {
        let entry = &board.runs[*i];
        let run = board.run(*i);
        let standing = run.standing(now);
        let style = standing_style(standing, theme);
        let note = printable(&board.note(&run));
        let mut cells = vec![
            Cell::from(Span::styled(mark(entry), Style::new().fg(entry.colour))),
            Cell::from(fit(&printable(run.title().unwrap_or(&run.name)), NAME.into())),
            Cell::from(Span::styled(standing.word(), style)),
            Cell::from(run.steps()),
            Cell::from(run.left(now).map_or(String::new(), duration)),
        ];
        cells.extend(values(&run, metric).map(Cell::from));
        cells.push(Cell::from(Span::styled(fit(&note, VALUE.into()), theme.dim)));
        cells.extend(keys.iter().map(|key| {
            let value = run.config.get(*key).map_or("-", String::as_str);
            Cell::from(fit(&printable(value), VALUE.into()))
        }));
        let row = Row::new(cells).style(theme.text);
        if at == board.cursor { row.style(theme.selected) } else { row }
    });
    let widths = HEADS.iter().map(|(_, width)| Constraint::Length(*width));
    let widths = widths.chain(keys.iter().map(|_| Constraint::Length(VALUE)));
    // Columns that would be squeezed are left for Right.
    let mut used = 0;
    let widths: Vec<Constraint> = widths
        .take_while(|width| {
            if let Constraint::Length(width) = width {
                used += width + 1;
            }
            used <= area.width.max(HEADS.iter().map(|(_, width)| width + 1).sum())
        })
        .collect();
    let table = Table::new(rows.collect::<Vec<_>>(), widths).header(heads).block(block);
    frame.render_widget(table, area);
}

/// The last, the least and the greatest.
fn values(run: &Run, metric: &str) -> [String; 3] {
    let series = run.curves.get(metric);
    let of = |value: &dyn Fn(&Series) -> Option<f64>| {
        series.and_then(value).map_or(String::new(), number)
    };
    let extremes = |series: &Series| series.extremes(0..series.len());
    [
        of(&|series| Some(series.last()?.value)),
        of(&|series| Some(extremes(series)?.min)),
        of(&|series| Some(extremes(series)?.max)),
    ]
}

/// Of a long key its end, which tells it from its neighbours.
fn tail(key: &str) -> String {
    let room = usize::from(VALUE);
    match key.chars().count() {
        short if short <= room => key.to_string(),
        long => "…".chars().chain(key.chars().skip(long + 1 - room)).collect(),
    }
}
