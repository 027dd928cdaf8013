//! Editing keys of a one-line text.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

pub(crate) fn edit(text: &mut String, key: KeyEvent) {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('u') if control => text.clear(),
        KeyCode::Char('w') if control => {
            let word = text.trim_end().rfind(char::is_whitespace).map_or(0, |at| at + 1);
            text.truncate(text.char_indices().map(|(i, _)| i).rfind(|i| *i <= word).unwrap_or(0));
        }
        KeyCode::Char(_) if control => {}
        KeyCode::Backspace => drop(text.pop()),
        KeyCode::Char(c) => text.push(c),
        _ => {}
    }
}
