//! Keys and pasted text.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui_textarea::CursorMove;

use super::{answer, artwork, models, page, panel, quit, scroll, session};
use crate::tui::app::{OpenWindow, Popup, State, editor};
use crate::tui::board;
use crate::tui::effect::{Effect, Ended};
use crate::tui::keymap::{Action, action};
use crate::tui::questions::suggestions;
use artgpt_base::text::{printable, printable_lines};
use artgpt_chat::Role;

pub fn key(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    if key.kind == KeyEventKind::Release {
        return Vec::new();
    }
    let action = action(&key);
    let was_quitting = std::mem::replace(&mut state.quitting, false);
    // News is read by the next key; an error stays until it is answered or closed.
    if state.notice.as_ref().is_some_and(|n| !n.error) {
        state.notice = None;
    }
    match action {
        Some(Action::Quit) => return quit(state, Ended::ByUser),
        Some(Action::Redraw) => return vec![Effect::Redraw],
        _ if state.panel.is_some() => return panel::message(state, board::Message::Key(key)),
        Some(Action::Interrupt) => return interrupt(state, was_quitting),
        _ => {}
    }
    match state.popup.take() {
        Some(popup) => in_popup(state, popup, key, action),
        None => in_conversation(state, key, action),
    }
}

/// Pasted text goes where typing goes. A path dragged onto the terminal loses its quotes.
pub fn paste(state: &mut State, text: &str) -> Vec<Effect> {
    if state.panel.is_some() {
        return panel::message(state, board::Message::Paste(printable(text)));
    }
    match &mut state.popup {
        Some(Popup::Open(window)) => {
            window.selected = None;
            window.candidates.clear();
            let input = &mut window.input;
            let line = printable(text.trim());
            let line = line.trim_matches(['\'', '"']);
            let path = line.strip_prefix("file://").unwrap_or(line);
            input.insert_str(path);
            let path = input.lines().join("");
            let path = crate::tui::complete::restart(&path).to_string();
            *input = editor(&path, &state.theme);
            vec![Effect::Complete(path)]
        }
        Some(_) => Vec::new(),
        None => {
            state
                .composer
                .insert_str(printable_lines(&text.replace("\r\n", "\n").replace('\r', "\n")));
            Vec::new()
        }
    }
}

fn interrupt(state: &mut State, again: bool) -> Vec<Effect> {
    if answer::cancel(state) {
        return Vec::new();
    }
    if again {
        return quit(state, Ended::ByUser);
    }
    if state.popup.take().is_none() {
        state.quitting = true;
        state.tell("Ctrl-C again quits");
    }
    Vec::new()
}

fn in_conversation(state: &mut State, key: KeyEvent, action: Option<Action>) -> Vec<Effect> {
    match action {
        Some(Action::Panel) => panel::open(state),
        Some(Action::Send) => answer::ask(state),
        Some(Action::Newline) => {
            state.composer.insert_newline();
            Vec::new()
        }
        Some(Action::Cancel) => {
            if !answer::cancel(state) {
                state.notice = None;
            }
            Vec::new()
        }
        Some(Action::Open) => open_window(state),
        Some(Action::Questions) => {
            state.popup = Some(Popup::Questions { list: suggestions(), selected: 0 });
            Vec::new()
        }
        Some(Action::Sessions) => {
            state.popup = Some(Popup::Sessions { list: None, selected: 0, confirm: false });
            vec![Effect::ListSessions]
        }
        Some(Action::Models) => models::window(state),
        Some(Action::New) => session::new(state),
        Some(Action::Regenerate) => answer::regenerate(state),
        Some(Action::PageUp) => moved(state, page),
        Some(Action::PageDown) => moved(state, |s| -page(s)),
        Some(Action::LineUp) => moved(state, |_| 1),
        Some(Action::LineDown) => moved(state, |_| -1),
        Some(Action::Help) => {
            state.popup = Some(Popup::Help { scroll: 0 });
            Vec::new()
        }
        Some(Action::Quit | Action::Redraw | Action::Interrupt) => Vec::new(),
        None => {
            if key.code == KeyCode::Char('u') && key.modifiers == KeyModifiers::CONTROL {
                state.composer.delete_line_by_head();
            } else if !recall(state, key) {
                state.composer.input(key);
            }
            Vec::new()
        }
    }
}

fn moved(state: &mut State, lines: impl Fn(&State) -> isize) -> Vec<Effect> {
    scroll(state, lines(state));
    Vec::new()
}

/// Up and Down at the editor's edge walk through earlier questions.
fn recall(state: &mut State, key: KeyEvent) -> bool {
    if key.modifiers != KeyModifiers::NONE {
        return false;
    }
    let asked: Vec<String> = state
        .conversation
        .turns
        .iter()
        .filter(|t| t.role == Role::User)
        .map(|t| t.text.clone())
        .collect();
    let row = state.composer.cursor().0;
    let untouched = state.composer.is_empty() || state.recall.is_some();
    let next = match (key.code, state.recall) {
        (KeyCode::Up, at) if row == 0 && untouched && !asked.is_empty() => {
            Some(at.unwrap_or(asked.len()).saturating_sub(1))
        }
        (KeyCode::Down, Some(at)) if row + 1 == state.composer.lines().len() => {
            Some(at + 1).filter(|i| *i < asked.len())
        }
        _ => {
            // An edited question is the user's own.
            if matches!(key.code, KeyCode::Char(_) | KeyCode::Backspace | KeyCode::Delete) {
                state.recall = None;
            }
            return false;
        }
    };
    let text = next.map_or(String::new(), |i| asked[i].clone());
    state.composer = state.new_composer(&text);
    state.recall = next;
    true
}

fn open_window(state: &mut State) -> Vec<Effect> {
    // Beside the last artwork.
    let folder = state
        .conversation
        .session
        .artworks
        .last()
        .and_then(|a| a.path.parent())
        .map_or_else(|| state.start_folder.clone(), |p| format!("{}/", p.display()));
    let window = OpenWindow::new(editor(&folder, &state.theme));
    state.popup = Some(Popup::Open(Box::new(window)));
    vec![Effect::Complete(folder)]
}

/// `popup` is put back unless the key closes it.
fn in_popup(state: &mut State, popup: Popup, key: KeyEvent, action: Option<Action>) -> Vec<Effect> {
    if action == Some(Action::Cancel) {
        if let Popup::Sessions { list, selected, confirm: true } = popup {
            state.popup = Some(Popup::Sessions { list, selected, confirm: false });
        }
        return Vec::new();
    }
    match popup {
        Popup::Help { scroll } => {
            let scroll = match key.code {
                KeyCode::Down | KeyCode::PageDown => scroll.saturating_add(1),
                KeyCode::Up | KeyCode::PageUp => scroll.saturating_sub(1),
                _ => return Vec::new(),
            };
            let last = crate::tui::keymap::BINDINGS.len() as u16;
            state.popup = Some(Popup::Help { scroll: scroll.min(last) });
            Vec::new()
        }
        Popup::Open(window) => in_open(state, window, key),
        Popup::Sessions { list, selected, confirm } => {
            in_sessions(state, list, selected, confirm, key)
        }
        Popup::Models { list, selected } => models::key(state, list, selected, key.code),
        Popup::Questions { list, selected } => {
            if key.code == KeyCode::Enter {
                if let Some(question) = list.get(selected) {
                    // What is written already stays.
                    match state.composer.is_empty() {
                        true => state.composer = state.new_composer(&question.text),
                        false => drop(state.composer.insert_str(&question.text)),
                    }
                }
                return Vec::new();
            }
            let selected = step(selected, list.len(), key.code);
            state.popup = Some(Popup::Questions { list, selected });
            Vec::new()
        }
    }
}

fn in_open(state: &mut State, mut window: Box<OpenWindow>, key: KeyEvent) -> Vec<Effect> {
    let typed = window.typed();
    let chooses = matches!(
        key.code,
        KeyCode::Enter
            | KeyCode::Tab
            | KeyCode::BackTab
            | KeyCode::Up
            | KeyCode::Down
            | KeyCode::PageUp
            | KeyCode::PageDown
    );
    // Candidates may still be those of an earlier text: keys are faster than a disk.
    if !window.waiting.is_empty() || (chooses && !window.is_fresh()) {
        window.waiting.push(key);
        state.popup = Some(Popup::Open(window));
        return Vec::new();
    }
    let selected = window.selected;
    let OpenWindow { input, candidates, .. } = &mut *window;
    let mut selection = None;
    let mut effects = Vec::new();
    match key.code {
        KeyCode::Enter => {
            let exact = candidates.iter().any(|c| c.path == typed);
            let path = match (selected.and_then(|i| candidates.get(i)), candidates.as_slice()) {
                (Some(candidate), _) => candidate.path.clone(),
                (None, [only]) if !typed.ends_with('/') => only.path.clone(),
                (None, [_, _, ..]) if !exact && !typed.ends_with('/') => {
                    state.tell(format!(
                        "{} begin so or are called so; Down chooses",
                        candidates.len()
                    ));
                    state.popup = Some(Popup::Open(window));
                    return Vec::new();
                }
                _ => typed,
            };
            if path.trim().is_empty() {
                return Vec::new();
            }
            if !path.ends_with('/') {
                state.tell(format!("opening {path}"));
                state.opens_beside = key.modifiers == KeyModifiers::ALT;
                let path = crate::tui::complete::expand(&path);
                return vec![Effect::OpenArtwork(path)];
            }
            effects.push(Effect::Complete(path.clone()));
            *input = editor(&path, &state.theme);
        }
        KeyCode::Tab => {
            let path = artwork::tab(candidates, selected);
            if let Some(path) = path.filter(|p| p.starts_with(&typed) || selected.is_some()) {
                effects.push(Effect::Complete(path.clone()));
                *input = editor(&path, &state.theme);
            }
        }
        KeyCode::Down | KeyCode::Up | KeyCode::BackTab | KeyCode::PageDown | KeyCode::PageUp => {
            selection = match (key.code, selected) {
                _ if candidates.is_empty() => None,
                (KeyCode::Down | KeyCode::PageDown, None) => Some(0),
                (_, None) => Some(candidates.len() - 1),
                (KeyCode::Up | KeyCode::BackTab, Some(0)) => None,
                (KeyCode::BackTab, Some(i)) => Some(i - 1),
                (code, Some(i)) => Some(step(i, candidates.len(), code)),
            };
        }
        KeyCode::Home => input.move_cursor(CursorMove::Head),
        KeyCode::Char('u') if key.modifiers == KeyModifiers::CONTROL => {
            *input = editor("", &state.theme);
            effects.push(Effect::Complete(String::new()));
        }
        // A path is one line.
        KeyCode::Char('m') if key.modifiers == KeyModifiers::CONTROL => {}
        _ => {
            if input.input(key) {
                restart_path(input, state);
                effects.push(Effect::Complete(input.lines().join("")));
            }
        }
    }
    window.selected = selection;
    state.popup = Some(Popup::Open(window));
    effects
}

/// A path typed behind the folder that the window began with replaces it.
fn restart_path(input: &mut ratatui_textarea::TextArea<'static>, state: &State) {
    let text = input.lines().join("");
    let meant = crate::tui::complete::restart(&text);
    if meant.len() < text.len() {
        *input = editor(meant, &state.theme);
    }
}

fn in_sessions(
    state: &mut State,
    list: Option<Vec<artgpt_chat::Session>>,
    selected: usize,
    confirm: bool,
    key: KeyEvent,
) -> Vec<Effect> {
    let chosen = list.as_ref().and_then(|l| l.get(selected)).map(|s| s.id.clone());
    let mut effects = Vec::new();
    let mut confirming = false;
    let count = list.as_ref().map_or(0, Vec::len);
    let selected_now = step(selected, count, key.code);
    match (key.code, chosen) {
        // The one on the screen is there already.
        (KeyCode::Enter, Some(id)) if id == state.conversation.session.id => return Vec::new(),
        (KeyCode::Enter, Some(id)) => return vec![Effect::LoadSession(id)],
        (KeyCode::Delete | KeyCode::Char('d'), Some(id)) => {
            if id == state.conversation.session.id {
                state.tell("this session is open; begin another one first (Ctrl-N)");
            } else if confirm {
                effects.push(Effect::RemoveSession(id));
            } else {
                confirming = true;
            }
        }
        _ => {}
    }
    state.popup = Some(Popup::Sessions { list, selected: selected_now, confirm: confirming });
    effects
}

/// Moves through a list.
pub fn step(selected: usize, count: usize, code: KeyCode) -> usize {
    let last = count.saturating_sub(1);
    match code {
        KeyCode::Down => (selected + 1).min(last),
        KeyCode::Up => selected.saturating_sub(1),
        KeyCode::PageDown => (selected + 10).min(last),
        KeyCode::PageUp => selected.saturating_sub(10),
        KeyCode::Home => 0,
        KeyCode::End => last,
        _ => selected,
    }
}
