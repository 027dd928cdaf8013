//! Hints: the keys that a screen or a window names, as they are bound now.

use super::{Action, Keymap};

/// Columns between the corners of a window on a narrow screen.
const BORDER: usize = 76;

/// Collects hints in the order in which they are shown.
pub(crate) struct Hints<'a> {
    keymap: &'a Keymap,
    /// The keys of each hint, and what they do.
    hints: Vec<(Vec<String>, &'a str)>,
}

impl<'a> Hints<'a> {
    pub(crate) fn new(keymap: &'a Keymap) -> Self {
        Self { keymap, hints: Vec::new() }
    }

    /// Adds the first key of each action, unless the user has removed them all.
    pub(crate) fn add<A: Action>(mut self, actions: &[A], what: &'a str) -> Self {
        let keys = actions.iter().map(|action| self.keymap.shown(*action));
        let keys: Vec<String> = keys.filter(|key| !key.is_empty()).collect();
        if !keys.is_empty() {
            self.hints.push((keys, what));
        }
        self
    }

    /// `Left/Right read  ? keys`: for a status line.
    pub(crate) fn line(&self) -> String {
        let hints = self.hints.iter().map(|(keys, what)| format!("{} {what}", joined(keys, "/")));
        hints.collect::<Vec<_>>().join("  ")
    }

    /// ` Left, Right: tabs   Esc: back `: for the border of a window, on a screen of 80 columns.
    pub(crate) fn border(&self) -> String {
        let text = self.text();
        let fits = text.chars().count() <= BORDER;
        format!(" {} ", if fits { text } else { self.with_gaps("  ") })
    }

    /// `Left, Right: tabs   Esc: back`.
    pub(crate) fn text(&self) -> String {
        self.with_gaps("   ")
    }

    fn with_gaps(&self, gap: &str) -> String {
        let hints = self.hints.iter().map(|(keys, what)| format!("{}: {what}", joined(keys, ", ")));
        hints.collect::<Vec<_>>().join(gap)
    }
}

/// Brackets are a pair: `[ ]`.
fn joined(keys: &[String], separator: &str) -> String {
    keys.join(if keys == ["[", "]"] { " " } else { separator })
}
