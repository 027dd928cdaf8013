//! The composer: where the question is written.

mod keys;
mod view;

pub(super) use keys::{apply, type_key};
pub(super) use view::view;

use ratatui_textarea::{TextArea, WrapMode};
use unicode_width::UnicodeWidthStr;

use crate::tui::components::editor;
use crate::tui::theme::Theme;
use artgpt_base::text::printable_lines;

/// The question that is being written.
pub(crate) struct State {
    area: TextArea<'static>,
    /// The earlier question that is shown, counted from the first one.
    recalled: Option<usize>,
}

impl State {
    pub(super) fn new(theme: &Theme) -> Self {
        Self { area: area("", theme), recalled: None }
    }

    /// The question as it was typed.
    pub(crate) fn text(&self) -> String {
        self.area.lines().join("\n")
    }

    pub(super) fn is_empty(&self) -> bool {
        self.area.is_empty()
    }

    /// Replaces the text; the cursor goes to its end.
    pub(super) fn set(&mut self, text: &str, theme: &Theme) {
        self.area = area(text, theme);
        self.recalled = None;
    }

    /// Inserts text at the cursor.
    pub(super) fn insert(&mut self, text: &str) {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        self.area.insert_str(printable_lines(&text));
    }

    /// The questions that could be recalled are another session's now.
    pub(super) fn forget_recalled(&mut self) {
        self.recalled = None;
    }

    /// Draws in other colours from now on.
    pub(super) fn restyle(&mut self, theme: &Theme) {
        self.area = area(&self.text(), theme);
    }

    /// Rows of the question on a screen of this width.
    pub(super) fn rows(&self, width: u16) -> u16 {
        let width = usize::from(width.saturating_sub(3)).max(1);
        let rows: usize = self.area.lines().iter().map(|l| l.width() / width + 1).sum();
        u16::try_from(rows).unwrap_or(u16::MAX - 2)
    }
}

fn area(text: &str, theme: &Theme) -> TextArea<'static> {
    let mut area = editor(text, theme);
    area.set_wrap_mode(WrapMode::WordOrGlyph);
    area.set_placeholder_text("Ask about the artwork");
    area.set_placeholder_style(theme.dim);
    area
}
