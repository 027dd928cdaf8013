//! Opening artworks, completing their paths, and asking for them at the screen's size.

use ratatui::layout::Rect;

use crate::tui::app::{Popup, Shown, State};
use crate::tui::complete::{Candidate, common_prefix};
use crate::tui::effect::Effect;
use crate::tui::graphics::{Protocol, fit};
use crate::tui::message::Opened;
use crate::tui::view::layout::{composer_rows, layout};
use artgpt_chat::ArtworkRef;

/// An artwork was read: it is shown, and goes with the next question.
pub fn opened(state: &mut State, opened: Opened) -> Vec<Effect> {
    let shown = Shown { image: opened.image, picture: opened.picture };
    if let Some((session, number)) = opened.resumed {
        if session == state.conversation.session.id {
            state.pictures.insert(opened.sha256, shown);
            // The one that was talked about last.
            if state.shown.is_none() || asked_about(state) == Some(number) {
                state.shown = Some(number);
            }
        }
        return Vec::new();
    }
    state.pictures.insert(opened.sha256.clone(), shown);
    let artwork = ArtworkRef {
        path: opened.path.clone(),
        sha256: opened.sha256.clone(),
        label: opened.label,
    };
    let number = state.conversation.session.add_artwork(artwork);
    state.shown = Some(number);
    if !std::mem::take(&mut state.opens_beside) {
        state.pending.clear();
        // The one that is talked about need not be shown again.
        if asked_about(state) != Some(number) {
            state.pending.push(number);
        }
    } else if !state.pending.contains(&number) {
        state.pending.push(number);
    }
    match opened.notes.first() {
        Some(note) => state.tell(note.clone()),
        None => state.notice = None,
    }
    Vec::new()
}

/// The artwork that the last question to show one was about.
fn asked_about(state: &State) -> Option<usize> {
    let path = state.conversation.path(None);
    path.iter().rev().find_map(|turn| turn.artworks.last().copied())
}

/// Candidates came, unless the text has changed since; keys that waited for them are pressed.
pub fn completed(state: &mut State, text: &str, found: Vec<Candidate>) -> Vec<Effect> {
    let Some(Popup::Open(window)) = &mut state.popup else { return Vec::new() };
    if window.typed() != text {
        return Vec::new();
    }
    window.candidates = found;
    window.found_for = Some(text.to_string());
    window.selected = None;
    let waiting = std::mem::take(&mut window.waiting);
    waiting.into_iter().flat_map(|key| super::keys::key(state, key)).collect()
}

/// What Tab makes of the path: the selected candidate, or what all candidates share.
pub fn tab(candidates: &[Candidate], selected: Option<usize>) -> Option<String> {
    match selected.and_then(|i| candidates.get(i)) {
        Some(candidate) => Some(candidate.path.clone()),
        None => common_prefix(candidates),
    }
}

/// The cells that the shown picture takes, if it is shown at all.
pub fn picture_cells(state: &State) -> Option<Rect> {
    let areas = layout(state.screen, state.shown.is_some(), composer_rows(state));
    let pane = areas.picture?;
    let (_, shown) = state.shown_picture()?;
    if state.terminal.protocol == Protocol::None || pane.width < 2 || pane.height < 1 {
        return None;
    }
    Some(fit(shown.image.dimensions(), pane, state.terminal.cell))
}

/// Asks for the picture at the size of its cells, once for each size.
pub fn scale_if_needed(state: &mut State) -> Option<Effect> {
    let cells = picture_cells(state)?;
    let (key, shown) = state.shown_picture()?;
    let (cell_w, cell_h) = state.terminal.cell;
    let size = match state.terminal.protocol {
        Protocol::Blocks | Protocol::None => (u32::from(cells.width), 2 * u32::from(cells.height)),
        _ => (
            u32::from(cells.width) * u32::from(cell_w),
            u32::from(cells.height) * u32::from(cell_h),
        ),
    };
    let wanted = (key.to_string(), size);
    if state.scaling.as_ref() == Some(&wanted) {
        return None;
    }
    let image = shown.image.clone();
    state.scaling = Some(wanted.clone());
    Some(Effect::Scale { sha256: wanted.0, image, size })
}
