//! Starting and resuming sessions.

use super::answer;
use super::state::{ModelState, State};
use super::windows;
use crate::tui::components::Overlays;
use crate::tui::effect::Effect;
use crate::tui::moment::Moment;
use artgpt_base::mask::mask_url;
use artgpt_chat::{Conversation, Session};

/// A stored session replaces the one on the screen.
pub(super) fn loaded(state: &mut State, conversation: Conversation) -> Vec<Effect> {
    let mut effects = answer::cut_off(state);
    let id = conversation.session.id.clone();
    let model = conversation.session.model.clone();
    clear(state, conversation);
    windows::ask_about_server(state, &model);
    if let ModelState::Ready(info) = &state.model {
        // The present model answers from now on.
        state.conversation.session.model = mask_url(&info.reference).into_owned();
    }
    let artworks = state.conversation.session.artworks.iter().enumerate();
    effects.extend(artworks.map(|(i, a)| Effect::ResumeArtwork(a.clone(), id.clone(), i)));
    effects.extend(state.artwork.open_next());
    state.inform("session resumed");
    effects
}

/// An empty session; the artwork on the screen stays and goes with its first question.
pub(super) fn new(state: &mut State, at: &Moment) -> Vec<Effect> {
    let effects = answer::cut_off(state);
    let artwork = state
        .artwork
        .shown
        .and_then(|i| state.conversation.session.artworks.get(i).cloned())
        .filter(|a| state.artwork.loaded.contains_key(&a.sha256));
    let loaded = std::mem::take(&mut state.artwork.loaded);
    let session = Session {
        id: at.id.to_string(),
        title: String::new(),
        model: mask_url(&state.settings.model).into_owned(),
        system: state.settings.system.clone(),
        created: at.now,
        updated: at.now,
        artworks: Vec::new(),
    };
    clear(state, Conversation::new(session));
    if let Some(artwork) = artwork {
        state.artwork.loaded = loaded;
        state.artwork.loaded.retain(|key, _| *key == artwork.sha256);
        state.conversation.session.artworks.push(artwork);
        state.artwork.shown = Some(0);
        state.artwork.pending = vec![0];
    }
    state.inform("new session");
    effects
}

fn clear(state: &mut State, conversation: Conversation) {
    state.conversation = conversation;
    state.artwork.loaded.clear();
    state.artwork.shown = None;
    state.artwork.pending.clear();
    state.artwork.scaled = None;
    state.artwork.requested = None;
    state.scroll = 0;
    state.composer.forget_recalled();
    state.last_usage = None;
    state.overlays = Overlays::default();
}
