//! Scrolling.

use super::lines::count;
use crate::tui::chat::layout::areas;
use crate::tui::chat::state::State;

/// How far to scroll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui::chat) enum Scroll {
    PageUp,
    PageDown,
    LineUp,
    LineDown,
}

pub(in crate::tui::chat) fn scroll(state: &mut State, by: Scroll) {
    let page = usize::from(areas(state).conversation.height.saturating_sub(1)).max(1);
    state.scroll = match by {
        Scroll::PageUp => state.scroll.saturating_add(page),
        Scroll::PageDown => state.scroll.saturating_sub(page),
        Scroll::LineUp => state.scroll.saturating_add(1),
        Scroll::LineDown => state.scroll.saturating_sub(1),
    };
    clamp(state);
}

/// Keeps the scroll position inside the conversation.
pub(in crate::tui::chat) fn clamp(state: &mut State) {
    // At the bottom there is nothing to count.
    if state.scroll > 0 {
        let area = areas(state).conversation;
        let total = count(state, area.width);
        state.scroll = state.scroll.min(total.saturating_sub(usize::from(area.height)));
    }
}
