//! The network that a run logged, as a tree.

use ratatui::text::{Line, Span};

use crate::tui::board::page::{LEVELS, Page};
use crate::tui::theme::Theme;
use artgpt_base::text::printable;
use artgpt_runs::Run;

/// The lines that are seen of it, from the one that the page is scrolled to.
pub fn lines(run: &Run, page: &Page, room: usize, theme: &Theme) -> Vec<Line<'static>> {
    let Some(graph) = &run.curves.about.graph else { return Vec::new() };
    let levels = LEVELS + page.back;
    let all = || graph.rows.iter().filter(|row| row.depth < levels);
    page.columns.set(graph.levels().saturating_sub(LEVELS));
    page.most.set((all().count() + 1).saturating_sub(room));
    let left_out = match graph.left_out {
        0 => String::new(),
        some => format!(" ({some} of them are not shown)"),
    };
    let head = format!(
        "{} operations{left_out}; {} of {} levels, ] shows one more",
        graph.operations,
        levels.min(graph.levels()),
        graph.levels()
    );
    let mut lines = vec![Line::styled(head, theme.dim)];
    let skipped = page.scroll.min(page.most.get());
    for row in all().skip(skipped).take(room.saturating_sub(1)) {
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
