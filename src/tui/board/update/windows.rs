//! Keys while a window over the panel is open.

use crossterm::event::{KeyCode, KeyEvent};

use super::Effect;
use crate::jobs::Wanted;
use crate::tui::board::form::Asked;
use crate::tui::board::keys::HELP;
use crate::tui::board::state::{Board, Question};

pub fn on_key(board: &mut Board, key: KeyEvent) -> Vec<Effect> {
    let code = key.code;
    if board.help {
        on_help_key(board, code);
        Vec::new()
    } else if board.asking.is_some() {
        on_answer(board, code)
    } else if board.form.is_some() {
        on_form_key(board, key)
    } else if board.noting.is_some() {
        on_note_key(board, code)
    } else {
        on_page_key(board, code)
    }
}

fn on_help_key(board: &mut Board, code: KeyCode) {
    // The last line stays on the screen.
    let most = HELP.len().saturating_sub(usize::from(board.screen.height.saturating_sub(3)));
    let to = |by: isize| board.help_scroll.saturating_add_signed(by).min(most);
    board.help_scroll = match code {
        KeyCode::Down | KeyCode::Char('j') => to(1),
        KeyCode::Up | KeyCode::Char('k') => to(-1),
        KeyCode::PageDown => to(10),
        KeyCode::PageUp => to(-10),
        KeyCode::Esc | KeyCode::Enter | KeyCode::F(1) | KeyCode::Char('q' | '?') => {
            board.help = false;
            0
        }
        _ => return,
    };
}

fn on_answer(board: &mut Board, code: KeyCode) -> Vec<Effect> {
    match (board.asking.take(), code) {
        (Some((run, Question::Stop)), KeyCode::Char('y' | 'Y')) => {
            vec![Effect::Wish(run, Wanted::Stop)]
        }
        (Some((run, Question::Remove)), KeyCode::Char('y' | 'Y')) => vec![Effect::Remove(run)],
        _ => Vec::new(),
    }
}

fn on_form_key(board: &mut Board, key: KeyEvent) -> Vec<Effect> {
    let Some(form) = &mut board.form else { return Vec::new() };
    match form.key(key) {
        Asked::Nothing => Vec::new(),
        Asked::Close => {
            board.form = None;
            Vec::new()
        }
        Asked::Complete(text) => vec![Effect::Complete(text)],
        Asked::Check => vec![Effect::Check(form.form())],
        Asked::Submit => vec![Effect::Submit(form.form())],
    }
}

fn on_note_key(board: &mut Board, code: KeyCode) -> Vec<Effect> {
    let Some((run, mut note)) = board.noting.take() else { return Vec::new() };
    match code {
        KeyCode::Enter => return vec![Effect::SetNote(run, note)],
        KeyCode::Esc => return Vec::new(),
        KeyCode::Backspace => drop(note.pop()),
        KeyCode::Char(c) => note.push(c),
        _ => {}
    }
    board.noting = Some((run, note));
    Vec::new()
}

fn on_page_key(board: &mut Board, code: KeyCode) -> Vec<Effect> {
    let screen = usize::from(board.screen.height.saturating_sub(4));
    let Some(page) = &mut board.page else { return Vec::new() };
    match code {
        KeyCode::Esc | KeyCode::Char('q' | 'i') => board.page = None,
        KeyCode::Tab | KeyCode::Right => page.turn(1),
        KeyCode::BackTab | KeyCode::Left => page.turn(-1),
        KeyCode::Down | KeyCode::Char('j') => page.scroll += 1,
        KeyCode::Up | KeyCode::Char('k') => page.scroll = page.scroll.saturating_sub(1),
        KeyCode::PageDown => page.scroll += screen,
        KeyCode::PageUp => page.scroll = page.scroll.saturating_sub(screen),
        KeyCode::Home => page.scroll = 0,
        _ => {}
    }
    Vec::new()
}
