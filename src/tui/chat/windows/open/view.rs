//! Draws the open window.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::text::Line;

use super::OpenWindow;
use crate::tui::chat::state::State;
use crate::tui::complete::Candidate;
use crate::tui::components::{draw_list, row, window};
use crate::tui::keys::Context;
use crate::tui::theme::Theme;
use artgpt_base::text::printable;

/// Columns for the name of a file whose title is known.
const NAME: usize = 14;

impl OpenWindow {
    pub(in crate::tui::chat::windows) fn view(&self, state: &State, frame: &mut Frame) {
        let theme = state.theme();
        let hints = state.ui.keymap.title_hints(Context::Open);
        let Some(inner) = window(&format!("Open an artwork ({hints})"), theme, frame) else {
            return;
        };
        let [line, rest] =
            Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(inner);
        self.input.draw(theme, line, frame);
        let lines = self.candidates.iter().map(|candidate| candidate_line(candidate, theme));
        draw_list(lines.collect(), self.selected, theme.selected, rest, frame);
    }
}

fn candidate_line(candidate: &Candidate, theme: &Theme) -> Line<'static> {
    // The folder stands in the line above.
    let at = candidate.path.trim_end_matches('/').rfind('/').map_or(0, |i| i + 1);
    let name = printable(&candidate.path[at..]);
    match &candidate.title {
        Some(title) => row((&name, theme.dim), NAME, (title, theme.text)),
        None => Line::from(name),
    }
}
