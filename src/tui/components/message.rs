//! A message in a window in the middle of the screen, as high as its text.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear, Paragraph, Wrap};

use crate::tui::theme::Theme;

/// Draws a window with these lines, wrapped.
pub(crate) fn message(title: &str, lines: Vec<Line>, theme: &Theme, frame: &mut Frame) {
    let screen = frame.area();
    let [_, area, _] = Layout::horizontal([
        Constraint::Fill(1),
        Constraint::Max(100.max(screen.width * 2 / 3)),
        Constraint::Fill(1),
    ])
    .areas::<3>(Rect { height: screen.height.saturating_sub(1), ..screen });
    let title = format!(" {title} ");
    let block = Block::bordered().title(title).style(theme.text).border_style(theme.accent);
    let width = usize::from(area.width.saturating_sub(2)).max(1);
    // Wrapping at words may need one line more.
    let needed = |line: &Line| match line.width() {
        short if short <= width => 1,
        long => long.div_ceil(width) + 1,
    };
    let rows = lines.iter().map(needed).sum::<usize>() + 2;
    let rows = u16::try_from(rows).unwrap_or(u16::MAX).min(area.height);
    let text = Paragraph::new(lines).wrap(Wrap { trim: false });
    let area = Rect { y: (area.height - rows) / 2, height: rows, ..area };
    frame.render_widget(Clear, area);
    frame.render_widget(text.block(block), area);
}
