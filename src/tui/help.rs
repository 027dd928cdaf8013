//! The help window: all keys of a screen, from the keymap.

use crossterm::event::KeyEvent;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::Line;

use super::components::{draw_text, row, scrolled, window};
use super::keys::{Context, Key, Keymap};
use super::theme::Theme;

/// Columns for the keys.
const KEYS: usize = 22;
/// The text is at least so wide, although it may be cut on a narrow screen.
const MIN_TEXT: usize = 20;

/// The keys of some contexts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HelpWindow {
    contexts: &'static [Context],
    /// Lines scrolled away.
    scroll: usize,
}

impl HelpWindow {
    pub(crate) fn new(contexts: &'static [Context]) -> Self {
        Self { contexts, scroll: 0 }
    }

    /// Scrolls, or returns true to close the window.
    pub(crate) fn key(&mut self, keymap: &Keymap, screen: Rect, key: KeyEvent) -> bool {
        let count = |width| self.lines(keymap, &Theme::plain(), width).len();
        let Some(scroll) = scrolled(self.scroll, keymap, screen, key, count) else { return true };
        self.scroll = scroll;
        false
    }

    pub(crate) fn view(&self, keymap: &Keymap, theme: &Theme, frame: &mut Frame) {
        let title = format!("Keys ({})", keymap.title_hints(Context::Help));
        if let Some(inner) = window(&title, theme, frame) {
            draw_text(self.lines(keymap, theme, inner.width), self.scroll, inner, frame);
        }
    }

    /// The contexts, each below its title; long texts are wrapped.
    fn lines(&self, keymap: &Keymap, theme: &Theme, width: u16) -> Vec<Line<'static>> {
        let width = usize::from(width).saturating_sub(KEYS).max(MIN_TEXT);
        let mut lines = Vec::new();
        for context in self.contexts {
            if !lines.is_empty() {
                lines.push(Line::default());
            }
            let title = theme.text.add_modifier(Modifier::BOLD);
            lines.push(Line::styled(context.title(), title));
            for binding in keymap.rows(*context).iter().filter(|binding| !binding.keys.is_empty()) {
                let mut keys = shown(&binding.keys);
                for text in textwrap::wrap(binding.help, width) {
                    lines.push(row((&keys, theme.accent), KEYS, (&text, theme.text)));
                    keys.clear();
                }
            }
        }
        lines
    }
}

/// As many of the keys as fit into their column, the first ones.
fn shown(keys: &[Key]) -> String {
    let mut text = String::new();
    for key in keys {
        let next = if text.is_empty() { key.to_string() } else { format!("{text}, {key}") };
        if !text.is_empty() && next.chars().count() >= KEYS {
            break;
        }
        text = next;
    }
    text
}
