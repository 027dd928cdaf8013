//! Beginning, listing and resuming sessions.

use super::answer;
use crate::tui::app::{ModelState, Popup, State};
use crate::tui::effect::Effect;
use artgpt_chat::{Conversation, Session};

pub fn listed(state: &mut State, new: Vec<Session>) -> Vec<Effect> {
    if let Some(Popup::Sessions { list, selected, confirm }) = &mut state.popup {
        *selected = (*selected).min(new.len().saturating_sub(1));
        *confirm = false;
        *list = Some(new);
    }
    Vec::new()
}

/// A stored session takes the place of the one on the screen.
pub fn loaded(state: &mut State, conversation: Conversation) -> Vec<Effect> {
    let mut effects = answer::cut_off(state);
    let id = conversation.session.id.clone();
    clear(state, conversation);
    if let ModelState::Ready(info) = &state.model {
        // It goes on with the one that answers.
        state.conversation.session.model.clone_from(&info.reference);
    }
    let artworks = state.conversation.session.artworks.iter().enumerate();
    effects.extend(artworks.map(|(i, a)| Effect::ResumeArtwork(a.clone(), id.clone(), i)));
    effects.extend(state.open_after_loading.take().map(Effect::OpenArtwork));
    state.tell("session resumed");
    effects
}

/// An empty session; the artwork on the screen stays and goes with its first question.
pub fn new(state: &mut State) -> Vec<Effect> {
    let effects = answer::cut_off(state);
    let artwork = state
        .shown
        .and_then(|i| state.conversation.session.artworks.get(i).cloned())
        .filter(|a| state.pictures.contains_key(&a.sha256));
    let pictures = std::mem::take(&mut state.pictures);
    let session = Session::new(&state.settings.model, state.settings.system.clone());
    clear(state, Conversation::new(session));
    if let Some(artwork) = artwork {
        state.pictures = pictures;
        state.pictures.retain(|key, _| *key == artwork.sha256);
        state.conversation.session.artworks.push(artwork);
        state.shown = Some(0);
        state.pending = vec![0];
    }
    state.tell("new session");
    effects
}

fn clear(state: &mut State, conversation: Conversation) {
    state.conversation = conversation;
    state.pictures.clear();
    state.shown = None;
    state.pending.clear();
    state.scaled = None;
    state.scaling = None;
    state.scroll = 0;
    state.recall = None;
    state.last_usage = None;
    state.popup = None;
}
