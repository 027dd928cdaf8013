//! An artwork was read.

use super::Loaded;
use crate::tui::chat::message::Opened;
use crate::tui::chat::state::State;
use artgpt_chat::ArtworkRef;

/// Shows the artwork; it goes with the next question.
pub(in crate::tui::chat) fn opened(state: &mut State, opened: Opened) {
    let loaded = Loaded { image: opened.image, picture: opened.picture, features: opened.features };
    if let Some((session, index)) = opened.resumed {
        if session == state.conversation.session.id {
            state.artwork.loaded.insert(opened.sha256, loaded);
            // The one that was discussed last.
            if state.artwork.shown.is_none() || discussed(state) == Some(index) {
                state.artwork.shown = Some(index);
            }
        }
        return;
    }
    state.artwork.loaded.insert(opened.sha256.clone(), loaded);
    let artwork = ArtworkRef { path: opened.path, sha256: opened.sha256, label: opened.label };
    let index = state.conversation.session.add_artwork(artwork);
    let discussed = discussed(state);
    let artwork = &mut state.artwork;
    artwork.shown = Some(index);
    if !std::mem::take(&mut artwork.opens_beside) {
        artwork.pending.clear();
        // The one under discussion need not be sent again.
        if discussed != Some(index) {
            artwork.pending.push(index);
        }
    } else if !artwork.pending.contains(&index) {
        artwork.pending.push(index);
    }
    match opened.notes.first() {
        Some(note) => state.inform(note.clone()),
        None => state.notice = None,
    }
}

/// The artwork of the last question that came with one.
fn discussed(state: &State) -> Option<usize> {
    let path = state.conversation.path(None);
    path.iter().rev().find_map(|turn| turn.artworks.last().copied())
}
