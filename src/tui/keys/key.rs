//! A key with its modifiers, and how it is spelled.

use std::fmt;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A key as the keymap compares it. It displays as in the help window: `Ctrl-O`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    code: KeyCode,
    modifiers: KeyModifiers,
}

/// Names in `keys.toml` and in the help window.
const MODIFIERS: [(&str, &str, KeyModifiers); 3] = [
    ("ctrl", "Ctrl", KeyModifiers::CONTROL),
    ("alt", "Alt", KeyModifiers::ALT),
    ("shift", "Shift", KeyModifiers::SHIFT),
];
const NAMED: [(&str, &str, KeyCode); 15] = [
    ("enter", "Enter", KeyCode::Enter),
    ("esc", "Esc", KeyCode::Esc),
    ("tab", "Tab", KeyCode::Tab),
    ("space", "Space", KeyCode::Char(' ')),
    ("backspace", "Backspace", KeyCode::Backspace),
    ("delete", "Delete", KeyCode::Delete),
    ("insert", "Insert", KeyCode::Insert),
    ("up", "Up", KeyCode::Up),
    ("down", "Down", KeyCode::Down),
    ("left", "Left", KeyCode::Left),
    ("right", "Right", KeyCode::Right),
    ("home", "Home", KeyCode::Home),
    ("end", "End", KeyCode::End),
    ("pageup", "PageUp", KeyCode::PageUp),
    ("pagedown", "PageDown", KeyCode::PageDown),
];

impl Key {
    /// A character already says whether Shift was held, and so does a tab backwards.
    fn new(code: KeyCode, modifiers: KeyModifiers) -> Self {
        match code {
            KeyCode::BackTab => {
                Self { code: KeyCode::Tab, modifiers: modifiers | KeyModifiers::SHIFT }
            }
            KeyCode::Char(_) => Self { code, modifiers: modifiers - KeyModifiers::SHIFT },
            _ => Self { code, modifiers },
        }
    }

    /// Reads the spelling of `keys.toml`: `ctrl-o`, `shift-up`, `f1`, `?`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let mut modifiers = KeyModifiers::NONE;
        while let Some((name, after)) = rest.split_once('-').filter(|(_, after)| !after.is_empty())
        {
            let Some((.., modifier)) = MODIFIERS.iter().find(|(known, ..)| *known == name) else {
                break;
            };
            modifiers |= *modifier;
            rest = after;
        }
        let mut chars = rest.chars();
        let code = match (NAMED.iter().find(|(known, ..)| *known == rest), chars.next()) {
            (Some((.., code)), _) => *code,
            (None, Some(c)) if chars.next().is_none() && !c.is_control() => KeyCode::Char(c),
            (None, Some('f')) => {
                KeyCode::F(rest[1..].parse().ok().filter(|n| (1..=24).contains(n))?)
            }
            _ => return None,
        };
        Some(Self::new(code, modifiers))
    }

    /// As `keys.toml` spells it.
    pub(crate) fn spelled(self) -> String {
        let mut text: String = self.held().map(|(name, _)| format!("{name}-")).collect();
        match (self.code, self.named()) {
            (_, Some((name, _))) => text.push_str(name),
            (KeyCode::Char(c), None) => text.push(c),
            (KeyCode::F(n), None) => text.push_str(&format!("f{n}")),
            _ => {}
        }
        text
    }

    fn held(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let held = MODIFIERS.into_iter().filter(move |(.., m)| self.modifiers.contains(*m));
        held.map(|(name, title, _)| (name, title))
    }

    fn named(self) -> Option<(&'static str, &'static str)> {
        let known = NAMED.into_iter().find(|(.., code)| *code == self.code);
        known.map(|(name, title, _)| (name, title))
    }
}

impl From<&KeyEvent> for Key {
    fn from(event: &KeyEvent) -> Self {
        Self::new(event.code, event.modifiers)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.held().try_for_each(|(_, title)| write!(f, "{title}-"))?;
        match (self.code, self.named()) {
            (_, Some((_, title))) => f.write_str(title),
            // With a modifier a letter stands for its key, without one for itself.
            (KeyCode::Char(c), None) if !self.modifiers.is_empty() => {
                write!(f, "{}", c.to_uppercase())
            }
            (KeyCode::Char(c), None) => write!(f, "{c}"),
            (KeyCode::F(n), None) => write!(f, "F{n}"),
            _ => Ok(()),
        }
    }
}
