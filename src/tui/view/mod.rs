//! Draws the state. Nothing is changed here.

mod artwork;
mod composer;
pub mod conversation;
pub mod layout;
mod popup;
mod status;
#[cfg(test)]
mod tests;

use ratatui::Frame;
use ratatui::widgets::Block;

use super::app::State;

pub fn view(state: &State, frame: &mut Frame) {
    let screen = frame.area();
    if let Some(panel) = &state.panel {
        return super::board::view(panel, frame);
    }
    frame.render_widget(Block::new().style(state.theme.text), screen);
    let areas = layout::layout(screen, state.shown.is_some(), layout::composer_rows(state));
    conversation::draw(state, areas.conversation, frame);
    artwork::draw(state, &areas, frame);
    composer::draw(state, areas.composer, areas.status.is_some(), frame);
    if let Some(area) = areas.status {
        status::draw(state, area, frame);
    }
    status::draw_long_notice(state, &areas, frame);
    popup::draw(state, screen, frame);
}
