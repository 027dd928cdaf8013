//! Keys in the composer.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::tui::chat::answer;
use crate::tui::chat::state::State;
use crate::tui::effect::Effect;
use crate::tui::keys::ComposerAction;
use crate::tui::moment::Moment;
use artgpt_chat::Role;

/// Carries out an action. `None` where the key moves the cursor instead.
pub(in crate::tui::chat) fn apply(
    state: &mut State,
    at: &Moment,
    action: ComposerAction,
) -> Option<Vec<Effect>> {
    match action {
        ComposerAction::Send => return Some(answer::ask(state, at)),
        ComposerAction::Newline => state.composer.area.insert_newline(),
        ComposerAction::DeleteToStart => {
            state.composer.area.delete_line_by_head();
        }
        ComposerAction::Earlier => return earlier(state).then(Vec::new),
        ComposerAction::Later => return later(state).then(Vec::new),
    }
    Some(Vec::new())
}

/// Types or edits.
pub(in crate::tui::chat) fn type_key(state: &mut State, key: KeyEvent) {
    let plain = !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
    // An edited question is the user's own.
    if plain && matches!(key.code, KeyCode::Char(_) | KeyCode::Backspace | KeyCode::Delete) {
        state.composer.recalled = None;
    }
    state.composer.area.input(key);
}

/// From the first line of an untouched composer to the question before. Whether it went there.
fn earlier(state: &mut State) -> bool {
    let composer = &state.composer;
    let untouched = composer.is_empty() || composer.recalled.is_some();
    let asked = asked(state);
    if composer.area.cursor().0 > 0 || !untouched || asked.is_empty() {
        return false;
    }
    let at = composer.recalled.unwrap_or(asked.len()).saturating_sub(1);
    recall(state, &asked, Some(at));
    true
}

/// From the last line to the question after; after the newest one the composer is empty.
fn later(state: &mut State) -> bool {
    let composer = &state.composer;
    let Some(at) = composer.recalled else { return false };
    if composer.area.cursor().0 + 1 < composer.area.lines().len() {
        return false;
    }
    let asked = asked(state);
    recall(state, &asked, Some(at + 1).filter(|at| *at < asked.len()));
    true
}

fn recall(state: &mut State, asked: &[String], at: Option<usize>) {
    let text = at.and_then(|at| asked.get(at)).map_or("", String::as_str);
    state.composer.set(text, &state.ui.theme);
    state.composer.recalled = at;
}

/// The session's questions, oldest first.
fn asked(state: &State) -> Vec<String> {
    let turns = state.conversation.turns.iter();
    turns.filter(|turn| turn.role == Role::User).map(|turn| turn.text.clone()).collect()
}
