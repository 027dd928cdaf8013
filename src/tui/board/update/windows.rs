//! Keys while a window over the panel is open.

use crossterm::event::{KeyCode, KeyEvent};

use super::{Effect, load_page};
use crate::jobs::Wanted;
use crate::runs::ByTag;
use crate::tui::board::form::Asked;
use crate::tui::board::keys::HELP;
use crate::tui::board::page::{Part, parts};
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
            board.draft = form.form();
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
    let parts = board.paged().map(|run| parts(&run)).unwrap_or_default();
    let (tags, steps) = tags(board);
    let Some(page) = &mut board.page else { return Vec::new() };
    let to = |at: usize, by: isize, count: usize| {
        at.saturating_add_signed(by).min(count.saturating_sub(1))
    };
    let before = (page.part, page.tag, page.back, page.scroll);
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
            // To the left are earlier steps, and columns that are nearer.
            let back = (key == '[') != (page.part == Part::Differences);
            page.back = to(page.back, if back { 1 } else { -1 }, steps);
            page.scroll = if page.part.has_tags() { 0 } else { page.scroll };
        }
        KeyCode::Down | KeyCode::Char('j') => page.scroll += 1,
        KeyCode::Up | KeyCode::Char('k') => page.scroll = page.scroll.saturating_sub(1),
        KeyCode::PageDown => page.scroll += screen,
        KeyCode::PageUp => page.scroll = page.scroll.saturating_sub(screen),
        KeyCode::Home => page.scroll = 0,
        _ => {}
    }
    match before == (page.part, page.tag, page.back, page.scroll) {
        true => Vec::new(),
        // Another picture may be seen.
        false => load_page(board),
    }
}

/// How many names the open part has, and steps of the chosen one.
fn tags(board: &Board) -> (usize, usize) {
    fn count<T>(all: &ByTag<T>, tag: usize) -> (usize, usize) {
        let list = all.values().nth(tag.min(all.len().saturating_sub(1)));
        let steps = list.map_or(0, |list| list.chunk_by(|a, b| a.step == b.step).count());
        (all.len(), steps)
    }
    let (Some(page), Some(run)) = (&board.page, board.paged()) else { return (0, 0) };
    let about = &run.curves.about;
    match page.part {
        Part::Texts => count(&about.texts, page.tag),
        Part::Pictures => count(&about.pictures, page.tag),
        Part::Histograms => count(&about.histograms, page.tag),
        // Its columns.
        Part::Differences => {
            // The run's own one stays.
            (0, page.texts.differences.first().map_or(0, |(_, all)| all.len().saturating_sub(1)))
        }
        _ => (0, 0),
    }
}
