//! The adapters tab: how much training changes each block.

use ratatui::text::{Line, Span};

use super::state::Page;
use crate::tui::theme::Theme;
use artgpt_base::text::{fit, printable};

/// Heights of a sparkline.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Points of a sparkline.
const LOOKS: usize = 40;

/// How many lines there are.
pub(crate) fn count(page: &Page) -> usize {
    page.data.looks.last().map_or(0, |last| 2 + last.blocks.len())
}

pub(crate) fn lines(page: &Page, theme: &Theme) -> Vec<Line<'static>> {
    let looks = &page.data.looks;
    let Some(last) = looks.last() else {
        return vec![Line::from(
            "no block statistics yet (our trainer writes them every 20 steps)",
        )];
    };
    let head = format!("{:<22} {:>12} {:>14}   history", "block", "norm", "update ratio");
    let mut lines = vec![
        Line::styled(format!("after step {}", last.step), theme.dim),
        Line::styled(head, theme.dim),
    ];
    let most = last.blocks.iter().map(|b| b.update_ratio).fold(f64::MIN_POSITIVE, f64::max);
    for block in &last.blocks {
        let from = looks.len().saturating_sub(LOOKS);
        let history: Vec<f64> = looks[from..]
            .iter()
            .filter_map(|look| look.blocks.iter().find(|b| b.name == block.name))
            .map(|b| b.update_ratio)
            .collect();
        let top = history.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let line: String = history
            .iter()
            .map(|v| BARS[((v / top * 7.0).round() as usize).min(BARS.len() - 1)])
            .collect();
        // A block far below the others does not learn.
        let dead = block.update_ratio < most * 1e-4;
        let style = if dead { theme.error } else { theme.text };
        lines.push(Line::from(vec![
            Span::styled(
                format!(
                    "{:<22} {:>12.4} {:>14.3e}   ",
                    fit(&printable(&block.name), 22),
                    block.norm,
                    block.update_ratio
                ),
                style,
            ),
            Span::styled(line, theme.accent),
        ]));
    }
    lines
}
