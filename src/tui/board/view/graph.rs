//! The network that a run logged, as a tree.

use ratatui::text::{Line, Span};

use crate::runs::Run;
use crate::text::printable;
use crate::tui::board::page::{LEVELS, Page};
use crate::tui::theme::Theme;

pub fn lines(run: &Run, page: &Page, theme: &Theme) -> Vec<Line<'static>> {
    let Some(graph) = &run.curves.about.graph else { return Vec::new() };
    let levels = LEVELS + page.back;
    let operations = graph.rows.iter().filter(|row| !row.what.is_empty()).count();
    let head = format!(
        "{} operations; {} of {} levels, ] shows one more",
        operations + graph.left_out,
        levels.min(graph.levels()),
        graph.levels()
    );
    let mut lines = vec![Line::styled(head, theme.dim)];
    for row in graph.rows.iter().filter(|row| row.depth < levels) {
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
    if graph.left_out > 0 {
        lines.push(Line::styled(format!("and {} more operations", graph.left_out), theme.dim));
    }
    lines
}
