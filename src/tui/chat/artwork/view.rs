//! Draws the artwork and its label.

use ratatui::Frame;
use ratatui::buffer::CellDiffOption;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Wrap};

use super::{cells, shown};
use crate::tui::chat::layout::Areas;
use crate::tui::chat::state::State;
use crate::tui::graphics::paint;
use artgpt_base::text::printable;

pub(in crate::tui::chat) fn view(state: &State, areas: &Areas, frame: &mut Frame) {
    if let Some(area) = areas.label {
        label(state, area, frame);
    }
    let Some(cells) = cells(state) else { return };
    if !state.ui.terminal.protocol.in_buffer() {
        // viuer draws here after the frame; a window over it is drawn as text.
        if state.overlays.is_empty() {
            let buffer = frame.buffer_mut();
            for position in cells.intersection(buffer.area).positions() {
                buffer[position].set_diff_option(CellDiffOption::Skip);
            }
        }
        return;
    }
    let key = shown(state).map(|(key, _)| key);
    if let Some(scaled) = state.artwork.scaled.as_ref().filter(|s| key == Some(s.sha256.as_str())) {
        paint(&scaled.image, cells, state.ui.terminal.colours, frame.buffer_mut());
    }
}

fn label(state: &State, area: Rect, frame: &mut Frame) {
    let shown = state.artwork.shown;
    let Some(artwork) = shown.and_then(|i| state.conversation.session.artworks.get(i)) else {
        return;
    };
    let theme = state.theme();
    let mut lines = Vec::new();
    match &artwork.label {
        Some(label) => {
            for (field, value) in label.fields() {
                let style = match field {
                    "title" => theme.accent.add_modifier(Modifier::BOLD),
                    "artist" => theme.text,
                    _ => theme.dim,
                };
                lines.push(Line::styled(printable(value), style));
            }
            if let Some(credit) = &label.credit {
                lines.push(Line::styled(printable(credit), theme.dim));
            }
        }
        None => {
            let name = artwork.path.file_name().unwrap_or_default().to_string_lossy();
            lines.push(Line::styled(printable(&name), theme.accent));
            lines.push(Line::styled("no label", theme.dim));
        }
    }
    if !state.artwork.loaded.contains_key(&artwork.sha256) {
        lines.push(Line::styled("the image is not loaded", theme.error));
    }
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }), area);
}
