//! The window of stored sessions.

use crossterm::event::KeyEvent;
use ratatui::Frame;

use super::{Outcome, Overlay};
use crate::tui::chat::state::State;
use crate::tui::components::{List, ListKey, row, window};
use crate::tui::effect::Effect;
use crate::tui::keys::{ChatAction, Context, ListAction, SessionsAction};
use artgpt_base::text::printable;
use artgpt_chat::Session;

/// Columns for the date.
const DATE: usize = 18;

/// Sessions to resume or delete.
pub(crate) struct SessionsWindow {
    list: List<Session>,
    /// The next press of the delete key deletes.
    confirming: bool,
}

pub(in crate::tui::chat) fn open(state: &mut State) -> Vec<Effect> {
    let window = SessionsWindow { list: List::loading(), confirming: false };
    state.overlays.push(Overlay::Sessions(window));
    vec![Effect::ListSessions]
}

/// The sessions are known.
pub(in crate::tui::chat) fn listed(state: &mut State, sessions: Vec<Session>) {
    for overlay in state.overlays.iter_mut() {
        if let Overlay::Sessions(window) = overlay {
            window.list.set(sessions);
            window.confirming = false;
            return;
        }
    }
}

impl SessionsWindow {
    pub(super) fn key(&mut self, state: &mut State, key: KeyEvent) -> Outcome {
        let keymap = state.keymap();
        let was_confirming = std::mem::replace(&mut self.confirming, false);
        let open = &state.conversation.session.id;
        match self.list.key(&keymap, &key) {
            ListKey::Own(SessionsAction::Resume) => match self.list.selected() {
                // The open session is on the screen already.
                Some(session) if session.id == *open => Outcome::CLOSE,
                Some(session) => Outcome::Close(vec![Effect::LoadSession(session.id.clone())]),
                None => Outcome::STAY,
            },
            ListKey::Own(SessionsAction::Delete) => match self.list.selected() {
                Some(session) if session.id == *open => {
                    let key = keymap.shown(ChatAction::NewSession);
                    state.inform(format!("this session is open; start another one first ({key})"));
                    Outcome::STAY
                }
                Some(session) if was_confirming => {
                    Outcome::Stay(vec![Effect::RemoveSession(session.id.clone())])
                }
                session => {
                    self.confirming = session.is_some();
                    Outcome::STAY
                }
            },
            ListKey::Close if was_confirming => Outcome::STAY,
            ListKey::Close => Outcome::CLOSE,
            ListKey::Done => Outcome::STAY,
        }
    }

    pub(super) fn view(&self, state: &State, frame: &mut Frame) {
        let (theme, keymap) = (state.theme(), &state.ui.keymap);
        let title = match self.confirming {
            true => format!(
                "Delete it? {} again deletes, {} keeps",
                keymap.shown(SessionsAction::Delete),
                keymap.shown(ListAction::Close)
            ),
            false => format!("Sessions ({})", keymap.title_hints(Context::Sessions)),
        };
        let Some(inner) = window(&title, theme, frame) else { return };
        let line = |session: &Session| {
            let date = session.updated.strftime("%Y-%m-%d %H:%M").to_string();
            let title = if session.title.is_empty() { "Untitled" } else { &session.title };
            row((&date, theme.dim), DATE, (&printable(title), theme.text))
        };
        let empty = "No sessions yet. A session is saved from its first question on.";
        self.list.draw(line, empty, theme, inner, frame);
    }
}
