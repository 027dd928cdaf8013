//! Draws the composer.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::widgets::{Block, Borders, Widget};

use crate::tui::chat::state::State;

pub(in crate::tui::chat) fn view(state: &State, area: Rect, framed: bool, frame: &mut Frame) {
    if area.is_empty() {
        return;
    }
    let mut inner = area;
    if framed {
        let block =
            Block::new().borders(Borders::TOP | Borders::BOTTOM).style(state.theme().border);
        inner = block.inner(area);
        block.render(area, frame.buffer_mut());
        inner.x += 1;
        inner.width = inner.width.saturating_sub(2);
    }
    frame.render_widget(&state.composer.area, inner);
}
