//! The window of questions that the program ships.

use crossterm::event::KeyEvent;
use ratatui::Frame;

use super::{Outcome, Overlay};
use crate::tui::chat::state::{ModelState, State};
use crate::tui::components::{List, ListKey, row, window};
use crate::tui::keys::{Context, QuestionsAction};
use crate::tui::questions::{Suggestion, suggestions};

/// Columns for the heading.
const HEADING: usize = 24;

/// Questions to choose from.
pub(crate) struct QuestionsWindow {
    list: List<Suggestion>,
}

pub(in crate::tui::chat) fn open(state: &mut State) {
    let groups = match &state.model {
        ModelState::Ready(info) => info.questions.as_slice(),
        _ => &[],
    };
    let window = QuestionsWindow { list: List::new(suggestions(groups)) };
    state.overlays.push(Overlay::Questions(window));
}

impl QuestionsWindow {
    pub(super) fn key(&mut self, state: &mut State, key: KeyEvent) -> Outcome {
        let keymap = state.keymap();
        match self.list.key(&keymap, &key) {
            ListKey::Own(QuestionsAction::Take) => {
                if let Some(question) = self.list.selected() {
                    // A question that is being written stays.
                    state.composer.insert(&question.text);
                }
                Outcome::CLOSE
            }
            ListKey::Close => Outcome::CLOSE,
            ListKey::Done => Outcome::STAY,
        }
    }

    pub(super) fn view(&self, state: &State, frame: &mut Frame) {
        let theme = state.theme();
        let hints = state.ui.keymap.title_hints(Context::Questions);
        let Some(inner) = window(&format!("Questions ({hints})"), theme, frame) else { return };
        let line = |q: &Suggestion| row((&q.heading, theme.dim), HEADING, (&q.text, theme.text));
        self.list.draw(line, "", theme, inner, frame);
    }
}
