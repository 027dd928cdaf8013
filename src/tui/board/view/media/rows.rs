//! A logged table.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use unicode_width::UnicodeWidthStr;

use crate::runs::media::Rows;
use crate::text::{fit, printable};
use crate::tui::board::page::Page;
use crate::tui::board::state::Board;

/// Columns of a cell, at most, while others need room.
const BROADEST: usize = 40;

pub fn draw(board: &Board, page: &Page, rows: &Rows, area: Rect, frame: &mut Frame) {
    let theme = &board.theme;
    let room = usize::from(area.height.saturating_sub(2));
    page.most.set(rows.rows.len().saturating_sub(room));
    let first = page.scroll.min(page.most.get());
    let seen: Vec<Vec<String>> = rows
        .rows
        .iter()
        .skip(first)
        .take(room)
        .map(|row| row.iter().map(|cell| printable(cell)).collect())
        .collect();
    let names: Vec<String> = rows.columns.iter().map(|name| printable(name)).collect();
    let widths: Vec<usize> = (0..names.len())
        .map(|at| {
            let cells = seen.iter().filter_map(|row| row.get(at)).chain([&names[at]]);
            cells.map(|cell| cell.width()).max().unwrap_or(0).min(BROADEST)
        })
        .collect();
    let line = |cells: &[String]| -> String {
        let cells = cells.iter().zip(&widths).map(|(cell, wide)| {
            let cell = fit(cell, *wide);
            let pad = wide.saturating_sub(cell.width());
            format!("{cell}{:pad$}  ", "")
        });
        cells.collect()
    };
    let mut lines = vec![Line::styled(line(&names), theme.accent)];
    lines.extend(seen.iter().map(|row| Line::styled(line(row), theme.text)));
    lines.resize(room + 1, Line::default());
    let last = first + seen.len();
    let mut told = format!("rows {} to {last} of {}", (first + 1).min(last), rows.rows.len());
    if rows.left_out > 0 {
        told += &format!(" ({} more are in the file)", rows.left_out);
    }
    lines.push(Line::styled(told, theme.dim));
    frame.render_widget(Paragraph::new(lines), area);
}
