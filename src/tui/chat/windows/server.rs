//! The question whether a stored session's own server may be used. The session may be somebody else's.

use crossterm::event::KeyEvent;
use ratatui::Frame;
use ratatui::text::Line;

use super::{Outcome, Overlay};
use crate::tui::chat::model;
use crate::tui::chat::state::State;
use crate::tui::components::message;
use crate::tui::keys::{Hints, QuestionAction};
use artgpt_app::server::{UnnamedServer, reference_of_session};
use artgpt_base::text::printable;

/// A server that only the session names.
pub(crate) struct ServerWindow {
    /// What is asked for a yes.
    reference: String,
    /// The same, safe to show.
    unnamed: UnnamedServer,
}

/// Asks, if the session's model is on a server that neither the user's flags and settings nor the
/// model in use name. Until then, and after a no, the model in use answers.
pub(in crate::tui::chat) fn ask(state: &mut State, stored: &str) {
    let named = [state.configured_model.as_str(), state.settings.model.as_str()];
    if let Err(unnamed) = reference_of_session(stored, &named) {
        let window = ServerWindow { reference: stored.to_string(), unnamed };
        state.overlays.push(Overlay::Server(window));
    }
}

impl ServerWindow {
    pub(super) fn key(&mut self, state: &mut State, key: KeyEvent) -> Outcome {
        match state.ui.keymap.action(&key) {
            Some(QuestionAction::Yes) => {
                Outcome::Close(model::switch(state, std::mem::take(&mut self.reference)))
            }
            Some(QuestionAction::No) | None => Outcome::CLOSE,
        }
    }

    pub(super) fn view(&self, state: &State, frame: &mut Frame) {
        let theme = state.theme();
        let yes = Hints::new(&state.ui.keymap).add(&[QuestionAction::Yes], "yes").text();
        let server = printable(&self.unnamed.server);
        let lines = vec![
            Line::from(format!("Use the server of this session, {server}?")),
            Line::from(
                "Neither --model nor the settings name it. It gets the conversation, its pictures \
                 and the API key, if one is set.",
            ),
            Line::styled(printable(&self.unnamed.reference), theme.dim),
            Line::default(),
            Line::styled(format!("{yes}   any other key: go on with the present model"), theme.dim),
        ];
        message("Server", lines, theme, frame);
    }
}
