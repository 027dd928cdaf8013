//! The keymap in use: the table with the user's overrides.

use std::collections::BTreeMap;
use std::path::Path;

use crossterm::event::KeyEvent;

use super::overrides::{KeysError, Override, read};
use super::{Action, Context, Hint, Key};

/// One action with the keys it has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binding {
    /// The action's name in `keys.toml`.
    pub(crate) name: String,
    pub(crate) keys: Vec<Key>,
    pub(crate) help: &'static str,
    pub(crate) hint: Option<Hint>,
}

/// Which key does what, in each context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keymap {
    contexts: BTreeMap<Context, Vec<Binding>>,
}

impl Default for Keymap {
    fn default() -> Self {
        Self { contexts: Context::ALL.iter().map(|c| (*c, c.defaults())).collect() }
    }
}

impl Keymap {
    /// The table with the overrides in `file`, if there is one.
    pub(crate) fn load(file: &Path) -> Result<Self, KeysError> {
        read(file).and_then(|overrides| Self::with(file, overrides))
    }

    /// The defaults and what is wrong with `file`, where it cannot be used.
    pub(crate) fn load_or_default(file: &Path) -> (Self, Option<KeysError>) {
        match Self::load(file) {
            Ok(keymap) => (keymap, None),
            Err(error) => (Self::default(), Some(error)),
        }
    }

    pub(super) fn with(file: &Path, overrides: Vec<Override>) -> Result<Self, KeysError> {
        let mut keymap = Self::default();
        for new in &overrides {
            let rows = keymap.contexts.entry(new.context).or_default();
            if let Some(row) = rows.iter_mut().find(|row| row.name == new.action) {
                row.keys.clone_from(&new.keys);
            }
        }
        match keymap.conflict() {
            None => Ok(keymap),
            Some((key, one, other)) => {
                let blamed = overrides.iter().rev().find(|new| new.keys.contains(&key));
                let line = blamed.map_or(0, |new| new.line);
                Err(KeysError::taken(file, line, key, one, other))
            }
        }
    }

    /// A key with two actions on one screen, and the names of these.
    pub(super) fn conflict(&self) -> Option<(Key, String, String)> {
        for screen in Context::SCREENS {
            let mut known: Vec<(Key, &str)> = Vec::new();
            for row in screen.iter().flat_map(|context| self.rows(*context)) {
                for key in &row.keys {
                    if let Some((_, other)) = known.iter().find(|(seen, _)| seen == key) {
                        return Some((*key, (*other).to_string(), row.name.clone()));
                    }
                    known.push((*key, &row.name));
                }
            }
        }
        None
    }

    /// What a key means in the context of `A`.
    pub(crate) fn action<A: Action>(&self, event: &KeyEvent) -> Option<A> {
        let key = Key::from(event);
        let at = self.rows(A::CONTEXT).iter().position(|row| row.keys.contains(&key))?;
        A::ROWS.get(at).map(|row| row.action)
    }

    pub(crate) fn rows(&self, context: Context) -> &[Binding] {
        self.contexts.get(&context).map_or(&[], Vec::as_slice)
    }

    /// The first key of an action, as the help window shows it; empty if it has none.
    pub(crate) fn shown<A: Action>(&self, action: A) -> String {
        let at = A::ROWS.iter().position(|row| row.action == action);
        let row = at.and_then(|at| self.rows(A::CONTEXT).get(at));
        row.and_then(|row| row.keys.first()).map_or(String::new(), Key::to_string)
    }

    /// `Enter resumes, d deletes`: what a window's title says of its keys.
    pub(crate) fn title_hints(&self, context: Context) -> String {
        let hints = self.rows(context).iter().filter_map(hint);
        hints.map(|(_, text)| text).collect::<Vec<_>>().join(", ")
    }

    /// `Ctrl-O open  F1 keys`: as many hints as fit into `width`, the most important ones.
    pub(crate) fn hint_line(&self, contexts: &[Context], width: usize) -> String {
        let rows = contexts.iter().flat_map(|context| self.rows(*context));
        let mut hints: Vec<(u8, String)> = rows.filter_map(hint).collect();
        loop {
            let line = hints.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("  ");
            if line.chars().count() <= width {
                return line;
            }
            let last = hints.iter().enumerate().max_by_key(|(_, (rank, _))| *rank);
            let Some((at, _)) = last else { return String::new() };
            hints.remove(at);
        }
    }
}

/// A row's hint with its first key, and the rank.
fn hint(row: &Binding) -> Option<(u8, String)> {
    let hint = row.hint?;
    Some((hint.rank, format!("{} {}", row.keys.first()?, hint.text)))
}

/// The rows of a context as the table has them.
pub(super) fn bindings<A: Action>() -> Vec<Binding> {
    let rows = A::ROWS.iter().map(|row| Binding {
        name: name(row.action),
        keys: row.keys.iter().filter_map(|text| Key::parse(text)).collect(),
        help: row.help,
        hint: row.hint,
    });
    rows.collect()
}

/// An action's or a context's serde name.
pub(super) fn name(value: impl serde::Serialize) -> String {
    match toml::Value::try_from(value) {
        Ok(toml::Value::String(name)) => name,
        _ => String::new(),
    }
}
