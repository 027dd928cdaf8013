//! The frames of windows: in the middle of the screen, and all over it.

use crossterm::event::KeyEvent;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear, Paragraph};

use super::list::PAGE;
use crate::tui::keys::{HelpAction, Keymap};
use crate::tui::theme::Theme;

/// Cells of a window, where the screen has as many.
const SIZE: (u16, u16) = (90, 26);

/// Draws an empty window; returns the room inside, if there is any.
pub(crate) fn window(title: &str, theme: &Theme, frame: &mut Frame) -> Option<Rect> {
    let area = centred(frame.area(), SIZE.0, SIZE.1);
    if area.is_empty() {
        return None;
    }
    let title = format!(" {title} ");
    let block = Block::bordered().title(title).style(theme.text).border_style(theme.accent);
    let inner = block.inner(area);
    frame.render_widget(Clear, area);
    frame.render_widget(block, area);
    Some(inner)
}

/// Draws an empty window all over `area`, with hints on its lower border; returns the room inside.
pub(crate) fn full_window(
    title: &str,
    hints: String,
    theme: &Theme,
    area: Rect,
    frame: &mut Frame,
) -> Rect {
    let block = Block::bordered()
        .title(format!(" {title} "))
        .title_bottom(hints)
        .style(theme.text)
        .border_style(theme.accent);
    let inner = block.inner(area);
    frame.render_widget(Clear, area);
    frame.render_widget(block, area);
    inner
}

/// The room inside a window on a screen of this size.
fn room(screen: Rect) -> Rect {
    Block::bordered().inner(centred(screen, SIZE.0, SIZE.1))
}

/// The lines scrolled away after a key in a window of text, which has `count` lines at a width; `None` if the
/// key closes it.
pub(crate) fn scrolled(
    scroll: usize,
    keymap: &Keymap,
    screen: Rect,
    key: KeyEvent,
    count: impl Fn(u16) -> usize,
) -> Option<usize> {
    let room = room(screen);
    let last = count(room.width).saturating_sub(usize::from(room.height));
    let scroll = match keymap.action::<HelpAction>(&key) {
        Some(HelpAction::ScrollUp) => scroll.saturating_sub(1),
        Some(HelpAction::ScrollDown) => scroll + 1,
        Some(HelpAction::PageUp) => scroll.saturating_sub(PAGE),
        Some(HelpAction::PageDown) => scroll + PAGE,
        Some(HelpAction::Close) | None => return None,
    };
    Some(scroll.min(last))
}

/// Draws lines from the `scroll`-th on.
pub(crate) fn draw_text(lines: Vec<Line<'static>>, scroll: usize, area: Rect, frame: &mut Frame) {
    let shown: Vec<Line> = lines.into_iter().skip(scroll).take(area.height.into()).collect();
    frame.render_widget(Paragraph::new(shown), area);
}

/// At most `width` x `height` cells in the middle of the screen.
fn centred(screen: Rect, width: u16, height: u16) -> Rect {
    // A margin of a column or two would only show scraps of the page behind.
    let width = if screen.width < width + 8 { screen.width } else { width };
    let height = height.min(screen.height.saturating_sub(2));
    Rect {
        x: screen.x + (screen.width - width) / 2,
        y: screen.y + (screen.height - height) / 2,
        width,
        height,
    }
}
