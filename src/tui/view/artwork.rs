//! The artwork and its label.

use ratatui::Frame;
use ratatui::buffer::CellDiffOption;
use ratatui::style::Modifier;
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Wrap};

use super::layout::Areas;
use crate::tui::app::State;
use crate::tui::graphics::paint;
use crate::tui::update::picture_cells;
use artgpt_base::text::printable;

pub fn draw(state: &State, areas: &Areas, frame: &mut Frame) {
    draw_label(state, areas, frame);
    let Some(cells) = picture_cells(state) else { return };
    if !state.terminal.protocol.in_buffer() {
        // viuer draws here after the frame; a popup over it is drawn as text.
        if state.popup.is_none() {
            let buffer = frame.buffer_mut();
            for position in cells.intersection(buffer.area).positions() {
                buffer[position].set_diff_option(CellDiffOption::Skip);
            }
        }
        return;
    }
    let fresh = state
        .scaled
        .as_ref()
        .filter(|s| state.shown_picture().is_some_and(|(key, _)| key == s.sha256));
    if let Some(scaled) = fresh {
        paint(&scaled.image, cells, state.terminal.colours, frame.buffer_mut());
    }
}

fn draw_label(state: &State, areas: &Areas, frame: &mut Frame) {
    let (Some(area), Some(artwork)) =
        (areas.label, state.shown.and_then(|i| state.conversation.session.artworks.get(i)))
    else {
        return;
    };
    let theme = &state.theme;
    let mut lines = Vec::new();
    let name = artwork.path.file_name().unwrap_or_default().to_string_lossy();
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
            lines.push(Line::styled(printable(&name), theme.accent));
            lines.push(Line::styled("no label", theme.dim));
        }
    }
    if !state.pictures.contains_key(&artwork.sha256) {
        lines.push(Line::styled("the picture is not loaded", theme.error));
    }
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }), area);
}
