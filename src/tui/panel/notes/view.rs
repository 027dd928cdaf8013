//! Draws the window in which a note is typed.

use ratatui::Frame;
use ratatui::text::{Line, Span};

use super::NoteWindow;
use crate::tui::keys::{Hints, NoteAction};
use crate::tui::panel::popup;
use crate::tui::panel::state::Panel;
use artgpt_base::text::printable;

pub(crate) fn draw(panel: &Panel, note: &NoteWindow, frame: &mut Frame) {
    let theme = &panel.theme;
    let title = match note.runs.len() {
        1 => " Note ".to_string(),
        several => format!(" Add to the notes of {several} selected runs "),
    };
    let hints = Hints::new(&panel.keymap)
        .add(&[NoteAction::Save], "save")
        .add(&[NoteAction::Close], "cancel");
    let lines = vec![
        Line::from(vec![Span::raw(printable(&note.text)), Span::styled("▏", theme.accent)]),
        Line::default(),
        Line::styled(format!("{}   #words are tags", hints.text()), theme.dim),
    ];
    popup::draw(&title, lines, theme, frame);
}
