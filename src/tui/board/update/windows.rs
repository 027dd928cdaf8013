//! Keys while a window over the panel is open.

use crossterm::event::{KeyCode, KeyEvent};

use super::{Effect, edit, load_page, steering};
use crate::tui::board::form::Asked;
use crate::tui::board::keys::HELP;
use crate::tui::board::page::parts;
use crate::tui::board::save::Save;
use crate::tui::board::state::{Asking, Board, Question};
use artgpt_rundir::job::Wanted;

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
        on_note_key(board, key)
    } else if let Some(window) = &mut board.machine {
        if !window.key(code, usize::from(board.screen.height / 2)) {
            board.machine = None;
        }
        Vec::new()
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
        (Some(Asking { runs, question, .. }), KeyCode::Char('y' | 'Y')) => {
            vec![match question {
                Question::Stop => Effect::Wish(runs, Wanted::Stop),
                Question::Remove => Effect::Remove(runs),
            }]
        }
        _ => Vec::new(),
    }
}

fn on_form_key(board: &mut Board, key: KeyEvent) -> Vec<Effect> {
    let Some(form) = &mut board.form else { return Vec::new() };
    match form.key(key) {
        Asked::Nothing => Vec::new(),
        Asked::Close => {
            if form.submits() {
                board.notice = Some("it is being submitted; X stops what was not meant".into());
            }
            board.draft = form.form();
            board.form = None;
            Vec::new()
        }
        Asked::Complete(text) => vec![Effect::Complete(text)],
        Asked::Check => vec![Effect::Check(form.form())],
        Asked::Submit => vec![Effect::Submit(form.form())],
    }
}

fn on_note_key(board: &mut Board, key: KeyEvent) -> Vec<Effect> {
    let Some(mut noting) = board.noting.take() else { return Vec::new() };
    match key.code {
        KeyCode::Enter => return steering::noted(board, noting),
        KeyCode::Esc => return Vec::new(),
        _ => edit(&mut noting.note, key),
    }
    board.noting = Some(noting);
    Vec::new()
}

fn on_page_key(board: &mut Board, code: KeyCode) -> Vec<Effect> {
    let screen = usize::from(board.screen.height.saturating_sub(4));
    let (parts, (tags, steps)) = match (board.paged(), &board.page) {
        (Some(run), Some(page)) => (parts(&run, &page.texts), page.extent(&run.curves.about)),
        _ => (Vec::new(), (0, 0)),
    };
    let Some(page) = &mut board.page else { return Vec::new() };
    let to = |at: usize, by: isize, count: usize| {
        at.saturating_add_signed(by).min(count.saturating_sub(1))
    };
    let before = (page.part, page.tag, page.back, page.scroll);
    // One at a time, where one fills the page.
    let screen = if page.part.is_one_by_one() { 1 } else { screen };
    match code {
        KeyCode::Esc | KeyCode::Char('q' | 'i') => {
            board.page = None;
            return Vec::new();
        }
        KeyCode::Tab | KeyCode::Right => page.turn(&parts, 1),
        KeyCode::BackTab | KeyCode::Left => page.turn(&parts, -1),
        KeyCode::Down | KeyCode::Up if page.part.has_tags() => {
            let by = if code == KeyCode::Down { 1 } else { -1 };
            (page.tag, page.back, page.scroll) = (to(page.tag, by, tags), 0, 0);
        }
        KeyCode::Char(key @ ('[' | ']')) => {
            // To the left are earlier steps, but columns and levels that are nearer.
            let back = (key == '[') == page.part.has_tags();
            page.back = to(page.back, if back { 1 } else { -1 }, steps);
            page.scroll = if page.part.has_tags() { 0 } else { page.scroll };
        }
        KeyCode::Down | KeyCode::Char('j') => page.scroll += 1,
        KeyCode::Up | KeyCode::Char('k') => page.scroll = page.scroll.saturating_sub(1),
        KeyCode::PageDown => page.scroll += screen,
        KeyCode::PageUp => page.scroll = page.scroll.saturating_sub(screen),
        KeyCode::Home => page.scroll = 0,
        KeyCode::Char('>') => page.column += 1,
        KeyCode::Char('<') => page.column = page.column.saturating_sub(1),
        KeyCode::Char('e') => {
            let save = Save::of(board);
            if save.is_none() {
                board.notice = Some("there is nothing here that e writes to a file".into());
            }
            return save.map(Effect::Save).into_iter().collect();
        }
        _ => {}
    }
    page.scroll = page.scroll.min(page.most.get());
    page.column = page.column.min(page.columns.get());
    match before == (page.part, page.tag, page.back, page.scroll) {
        true => Vec::new(),
        // Another picture may be seen.
        false => load_page(board),
    }
}
