//! The graph tab: the logged network as a tree.

use ratatui::text::{Line, Span};

use super::state::Page;
use crate::tui::theme::Theme;
use artgpt_base::text::printable;
use artgpt_runs::Run;

/// Visible levels at first.
const LEVELS: usize = 2;

/// Levels beyond the first visible ones.
pub(crate) fn hidden_levels(run: &Run) -> usize {
    run.curves.about.graph.as_ref().map_or(0, |graph| graph.levels().saturating_sub(LEVELS))
}

/// How many lines there are.
pub(crate) fn count(run: &Run, page: &Page) -> usize {
    let levels = LEVELS + page.back;
    let rows = run.curves.about.graph.iter().flat_map(|graph| &graph.rows);
    1 + rows.filter(|row| row.depth < levels).count()
}

/// The lines that are visible in so many rows; the first one stays when the page is scrolled.
pub(crate) fn lines(run: &Run, page: &Page, rows: usize, theme: &Theme) -> Vec<Line<'static>> {
    let Some(graph) = &run.curves.about.graph else { return Vec::new() };
    let levels = LEVELS + page.back;
    let left_out = match graph.left_out {
        0 => String::new(),
        some => format!(" ({some} of them not shown)"),
    };
    let head = format!(
        "{} operations{left_out}; {} of {} levels, ] shows one more",
        graph.operations,
        levels.min(graph.levels()),
        graph.levels()
    );
    let mut lines = vec![Line::styled(head, theme.dim)];
    let skipped = page.scroll.min(count(run, page).saturating_sub(rows));
    let visible = graph.rows.iter().filter(|row| row.depth < levels).skip(skipped);
    for row in visible.take(rows.saturating_sub(1)) {
        let closed = row.depth + 1 == levels && row.inside > 0;
        let sign = if row.inside == 0 {
            " "
        } else if closed {
            "▸"
        } else {
            "▾"
        };
        let mut spans = vec![
            Span::styled(format!("{:1$}{sign} ", "", row.depth * 2), theme.dim),
            Span::styled(printable(&row.name), theme.text),
        ];
        if row.inside > 0 {
            spans.push(Span::styled(format!("  {} inside", row.inside), theme.dim));
        }
        if !row.what.is_empty() {
            spans.push(Span::styled(format!("  {}", printable(&row.what)), theme.accent));
        }
        lines.push(Line::from(spans));
    }
    lines
}
