//! Windows over the chat.

mod models;
mod open;
mod questions;
mod server;
mod sessions;
mod sources;
#[cfg(test)]
mod tests;

pub(crate) use models::ModelsWindow;
pub(crate) use open::OpenWindow;
pub(crate) use questions::QuestionsWindow;
pub(crate) use server::ServerWindow;
pub(crate) use sessions::SessionsWindow;
pub(crate) use sources::SourcesWindow;

pub(super) use models::{listed as models_listed, open as open_models};
pub(super) use open::{completed, open, paintings_found};
pub(super) use questions::open as open_questions;
pub(super) use server::ask as ask_about_server;
pub(super) use sessions::{listed as sessions_listed, open as open_sessions};
pub(super) use sources::open as open_sources;

use crossterm::event::KeyEvent;
use ratatui::Frame;

use super::state::State;
use crate::tui::effect::Effect;
use crate::tui::help::HelpWindow;
use crate::tui::keys::Context;

/// One window of the stack.
pub(crate) enum Overlay {
    Help(HelpWindow),
    Open(Box<OpenWindow>),
    Sessions(SessionsWindow),
    Questions(QuestionsWindow),
    Models(ModelsWindow),
    Server(ServerWindow),
    Sources(SourcesWindow),
}

/// What becomes of a window after a key.
pub(super) enum Outcome {
    Stay(Vec<Effect>),
    Close(Vec<Effect>),
}

impl Outcome {
    const STAY: Self = Self::Stay(Vec::new());
    const CLOSE: Self = Self::Close(Vec::new());
}

/// Gives a key to the window on top.
pub(super) fn on_key(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    let Some(mut top) = state.overlays.pop() else { return Vec::new() };
    let outcome = match &mut top {
        Overlay::Help(window) => match window.key(&state.ui.keymap, state.ui.screen, key) {
            true => Outcome::CLOSE,
            false => Outcome::STAY,
        },
        Overlay::Open(window) => window.key(state, key),
        Overlay::Sessions(window) => window.key(state, key),
        Overlay::Questions(window) => window.key(state, key),
        Overlay::Models(window) => window.key(state, key),
        Overlay::Server(window) => window.key(state, key),
        Overlay::Sources(window) => window.key(&state.ui.keymap, state.ui.screen, key),
    };
    match outcome {
        Outcome::Close(effects) => effects,
        Outcome::Stay(effects) => {
            state.overlays.push(top);
            effects
        }
    }
}

/// Whether a window shows what is on disk, which another process may change.
pub(super) fn follows_disk(state: &State) -> bool {
    matches!(state.overlays.top(), Some(Overlay::Models(_) | Overlay::Open(_)))
}

/// Reads again what the window on top shows, unless it is being read.
pub(super) fn read_again(state: &mut State) -> Vec<Effect> {
    match state.overlays.top_mut() {
        Some(Overlay::Models(window)) => window.read_again(),
        Some(Overlay::Open(window)) => window.read_again(),
        _ => Vec::new(),
    }
}

/// Opens the help window.
pub(super) fn open_help(state: &mut State) {
    let contexts = &[Context::Chat, Context::Composer, Context::Global];
    state.overlays.push(Overlay::Help(HelpWindow::new(contexts)));
}

impl Overlay {
    pub(super) fn view(&self, state: &State, frame: &mut Frame) {
        match self {
            Self::Help(window) => window.view(&state.ui.keymap, state.theme(), frame),
            Self::Open(window) => window.view(state, frame),
            Self::Sessions(window) => window.view(state, frame),
            Self::Questions(window) => window.view(state, frame),
            Self::Models(window) => window.view(state, frame),
            Self::Server(window) => window.view(state, frame),
            Self::Sources(window) => window.view(state, frame),
        }
    }
}
