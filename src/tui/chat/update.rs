//! Applies messages and keys. Pure: what has to happen outside comes back as effects.

use std::sync::Arc;

use crossterm::event::KeyEvent;
use ratatui::layout::Rect;

use super::conversation::Scroll;
use super::message::{Message, Reloaded};
use super::state::State;
use super::windows::{self, Overlay};
use super::{answer, artwork, composer, conversation, model, session};
use crate::tui::effect::{Effect, Ended};
use crate::tui::keys::{ChatAction, ComposerAction, GlobalAction};
use crate::tui::moment::Moment;
use artgpt_app::settings::Settings;
use artgpt_base::text::printable;
use artgpt_store::StoreEvent;

/// Applies one message.
pub(crate) fn update(state: &mut State, at: &Moment, message: Message) -> Vec<Effect> {
    match message {
        Message::Model(event) => return model::event(state, at, event),
        Message::Store(event) => return store(state, event),
        Message::Opened(opened) => {
            let is_resumed = opened.resumed.is_some();
            artwork::opened(state, *opened);
            let next = if is_resumed { None } else { state.artwork.after_opening(true) };
            return next.into_iter().collect();
        }
        Message::NotOpened(reason) => {
            state.report_error(reason);
            return state.artwork.after_opening(false).into_iter().collect();
        }
        Message::Error(reason) => state.report_error(reason),
        Message::Completed(text, found) => return windows::completed(state, at, &text, found),
        Message::Models(list) => windows::models_listed(state, list),
        Message::Paintings(folder) => return windows::paintings_found(state, folder),
        Message::Scaled(scaled) => artwork::scaled(state, scaled),
        Message::Reloaded(new) => return reloaded(state, *new),
    }
    Vec::new()
}

fn store(state: &mut State, event: StoreEvent) -> Vec<Effect> {
    match event {
        StoreEvent::Opened(notice) => {
            if let Some(notice) = notice {
                state.inform(notice);
            }
        }
        StoreEvent::Recovered => state.inform("saved again"),
        StoreEvent::Backups(paths) => {
            let paths: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
            state.inform(format!("removed; older copies may still hold it: {}", paths.join(", ")));
        }
        StoreEvent::ReadOnly(reason) => {
            state.report_error(format!("not saved: {reason}"));
            state.unsaved = Some(reason);
        }
        StoreEvent::Sessions(list) => windows::sessions_listed(state, list),
        StoreEvent::Loaded(conversation) => return session::loaded(state, *conversation),
        StoreEvent::Saved { session, seq } => answer::saved(state, &session, seq),
        StoreEvent::NotLoaded(reason) => {
            state.report_error(reason);
            return state.artwork.open_next().into_iter().collect();
        }
        StoreEvent::Failed(reason) => {
            state.report_error(format!("not saved: {reason}"));
            answer::not_saved(state);
        }
    }
    Vec::new()
}

fn reloaded(state: &mut State, new: Reloaded) -> Vec<Effect> {
    let Reloaded { settings, theme, keymap } = new;
    // Not the one in use: the user may have switched since.
    let model_changed = settings.model != state.configured_model;
    state.configured_model.clone_from(&settings.model);
    let in_use = std::mem::take(&mut state.settings.model);
    state.settings = Settings { model: in_use, ..settings };
    (state.ui.theme, state.ui.keymap) = (theme, Arc::new(keymap));
    state.composer.restyle(&state.ui.theme);
    state.inform("settings read again");
    match model_changed {
        true => model::switch(state, state.configured_model.clone()),
        false => Vec::new(),
    }
}

/// A key goes to the top window, then to the chat, then to the composer.
pub(crate) fn on_key(state: &mut State, at: &Moment, key: KeyEvent) -> Vec<Effect> {
    let was_quitting = std::mem::replace(&mut state.quitting, false);
    // A message is gone with the next key; an error stays until it is cleared.
    if state.notice.as_ref().is_some_and(|n| !n.error) {
        state.notice = None;
    }
    let keymap = state.keymap();
    match keymap.action::<GlobalAction>(&key) {
        Some(GlobalAction::Quit) => return quit(state, Ended::ByUser),
        Some(GlobalAction::Redraw) => return vec![Effect::Redraw],
        Some(GlobalAction::Suspend) => return vec![Effect::Suspend],
        Some(GlobalAction::Interrupt) => return interrupt(state, was_quitting),
        None => {}
    }
    if !state.overlays.is_empty() {
        return windows::on_key(state, key);
    }
    if let Some(action) = keymap.action::<ChatAction>(&key) {
        return apply(state, at, action);
    }
    let action = keymap.action::<ComposerAction>(&key);
    if let Some(effects) = action.and_then(|action| composer::apply(state, at, action)) {
        return effects;
    }
    composer::type_key(state, key);
    Vec::new()
}

fn apply(state: &mut State, at: &Moment, action: ChatAction) -> Vec<Effect> {
    match action {
        ChatAction::Stop => match answer::stop(state) {
            Some(effect) => return vec![effect],
            None => state.notice = None,
        },
        ChatAction::Open => return windows::open(state),
        ChatAction::Questions => windows::open_questions(state),
        ChatAction::Sources => windows::open_sources(state),
        ChatAction::Sessions => return windows::open_sessions(state),
        ChatAction::Models => return windows::open_models(state),
        ChatAction::Help => windows::open_help(state),
        ChatAction::Panel => return vec![Effect::OpenPanel],
        ChatAction::NewSession => return session::new(state, at),
        ChatAction::Regenerate => return answer::regenerate(state, at),
        ChatAction::PageUp => conversation::scroll(state, Scroll::PageUp),
        ChatAction::PageDown => conversation::scroll(state, Scroll::PageDown),
        ChatAction::LineUp => conversation::scroll(state, Scroll::LineUp),
        ChatAction::LineDown => conversation::scroll(state, Scroll::LineDown),
    }
    Vec::new()
}

/// Stops the answer or closes the window; twice on an idle screen it quits.
fn interrupt(state: &mut State, again: bool) -> Vec<Effect> {
    if let Some(effect) = answer::stop(state) {
        return vec![effect];
    }
    if again {
        return quit(state, Ended::ByUser);
    }
    if state.overlays.pop().is_none() {
        state.quitting = true;
        state.inform(format!("{} again quits", state.ui.keymap.shown(GlobalAction::Interrupt)));
    }
    Vec::new()
}

/// Pasted text goes where typing goes.
pub(crate) fn paste(state: &mut State, text: &str) -> Vec<Effect> {
    match state.overlays.top_mut() {
        Some(Overlay::Open(window)) => window.paste(&printable(text.trim())),
        Some(_) => Vec::new(),
        None => {
            state.composer.insert(text);
            Vec::new()
        }
    }
}

pub(crate) fn resize(state: &mut State, screen: Rect) {
    state.ui.screen = screen;
    conversation::clamp(state);
}

/// About once a second while [`ticks`].
pub(crate) fn tick(state: &mut State) -> Vec<Effect> {
    let mut effects = answer::tick(state);
    effects.extend(windows::read_again(state));
    effects
}

/// Whether time alone changes something.
pub(crate) fn ticks(state: &State) -> bool {
    state.answer.is_some() || windows::follows_disk(state)
}

/// Ends the program; an unfinished answer is kept as far as it came.
pub(crate) fn quit(state: &mut State, ended: Ended) -> Vec<Effect> {
    let mut effects = answer::cut_off(state);
    effects.push(Effect::Quit(ended));
    effects
}
