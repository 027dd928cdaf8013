//! Draws the window in which a note is typed.

use ratatui::Frame;
use ratatui::style::Style;
use ratatui::text::Line;

use super::NoteWindow;
use crate::tui::components::message;
use crate::tui::keys::{Hints, NoteAction};
use crate::tui::panel::state::Panel;

pub(crate) fn draw(panel: &Panel, note: &NoteWindow, frame: &mut Frame) {
    let theme = &panel.theme;
    let title = match note.runs.len() {
        1 => "Note".to_string(),
        several => format!("Add to the notes of {several} selected runs"),
    };
    let hints = Hints::new(&panel.keymap)
        .add(&[NoteAction::Save], "save")
        .add(&[NoteAction::Close], "cancel");
    let lines = vec![
        Line::from_iter(note.text.spans(Style::new(), theme)),
        Line::default(),
        Line::styled(format!("{}   #words are tags", hints.text()), theme.dim),
    ];
    message(&title, lines, theme, frame);
}
