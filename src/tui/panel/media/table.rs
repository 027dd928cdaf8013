//! Draws a logged table.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use unicode_width::UnicodeWidthStr;

use crate::tui::panel::page::Page;
use crate::tui::panel::state::Panel;
use artgpt_base::text::{fit, printable};
use artgpt_runs::media::Rows;

/// Maximum width of a cell if the whole table does not fit.
const BROADEST: usize = 40;

pub(crate) fn draw(panel: &Panel, page: &Page, rows: &Rows, area: Rect, frame: &mut Frame) {
    let theme = &panel.theme;
    let room = usize::from(area.height.saturating_sub(2));
    let first = page.scroll.min(rows.rows.len().saturating_sub(room));
    let left = page.column.min(rows.columns.len().saturating_sub(1));
    let seen: Vec<&[String]> = rows
        .rows
        .iter()
        .skip(first)
        .take(room)
        .map(|row| row.get(left..).unwrap_or_default())
        .collect();
    let names = rows.columns.get(left..).unwrap_or_default();
    let wide = usize::from(area.width);
    // At most one column a cell of the screen.
    let natural: Vec<usize> = (0..names.len().min(wide))
        .map(|at| {
            let cells = seen.iter().filter_map(|row| row.get(at)).chain([&names[at]]);
            cells.map(|cell| printable(cell).width()).max().unwrap_or(0)
        })
        .collect();
    let whole = natural.iter().map(|width| width + 2).sum::<usize>() <= wide;
    let most = if whole { usize::MAX } else { BROADEST };
    let line = |cells: &[String]| -> String {
        let cells = cells.iter().zip(&natural).map(|(cell, natural)| {
            let width = (*natural).min(most);
            let cell = fit(&printable(cell), width);
            let pad = width.saturating_sub(cell.width());
            format!("{cell}{:pad$}  ", "")
        });
        cells.collect()
    };
    let mut lines = vec![Line::styled(line(names), theme.accent)];
    lines.extend(seen.iter().map(|row| Line::styled(line(row), theme.text)));
    lines.resize(room + 1, Line::default());
    let last = first + seen.len();
    let mut told = format!("rows {} to {last} of {}", (first + 1).min(last), rows.rows.len());
    if rows.left_out > 0 {
        told += &format!(" ({} more)", rows.left_out);
    }
    if left > 0 || !whole {
        told += &format!("  column {} of {} (< >)", left + 1, rows.columns.len());
    }
    lines.push(Line::styled(told, theme.dim));
    frame.render_widget(Paragraph::new(lines), area);
}
