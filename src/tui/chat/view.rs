//! Draws the chat. Nothing is changed here.

use ratatui::Frame;
use ratatui::widgets::Block;

use super::layout::areas;
use super::state::State;
use super::{artwork, composer, conversation, status};

pub(crate) fn view(state: &State, frame: &mut Frame) {
    frame.render_widget(Block::new().style(state.theme().text), frame.area());
    let areas = areas(state);
    conversation::view(state, areas.conversation, frame);
    artwork::view(state, &areas, frame);
    composer::view(state, areas.composer, areas.status.is_some(), frame);
    if let Some(area) = areas.status {
        status::view(state, area, frame);
    }
    status::view_long_notice(state, &areas, frame);
    for overlay in state.overlays.iter() {
        overlay.view(state, frame);
    }
}
