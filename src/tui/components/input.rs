//! Editors: of several lines for a question, of one line for a path.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui_textarea::{CursorMove, TextArea};

use crate::tui::theme::Theme;

/// A text editor in the theme's colours, with the cursor at the end.
pub(crate) fn editor(text: &str, theme: &Theme) -> TextArea<'static> {
    let mut area = TextArea::new(text.split('\n').map(String::from).collect());
    area.move_cursor(CursorMove::Bottom);
    area.move_cursor(CursorMove::End);
    area.set_style(theme.text);
    area.set_cursor_line_style(Style::new());
    area
}

/// An editor of one line.
pub(crate) struct LineInput {
    area: TextArea<'static>,
}

impl LineInput {
    pub(crate) fn new(text: &str, theme: &Theme) -> Self {
        Self { area: editor(&one_line(text), theme) }
    }

    pub(crate) fn text(&self) -> String {
        self.area.lines().join("")
    }

    /// Inserts pasted text at the cursor.
    pub(crate) fn insert(&mut self, text: &str) {
        self.area.insert_str(one_line(text));
    }

    /// Types or edits. Returns whether the text has changed.
    pub(crate) fn key(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            // These would begin a second line.
            KeyCode::Enter => false,
            KeyCode::Char('m' | 'j') if control => false,
            _ => self.area.input(key),
        }
    }

    pub(crate) fn draw(&self, area: Rect, frame: &mut Frame) {
        frame.render_widget(&self.area, area);
    }
}

fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_one_line() {
        let mut input = LineInput::new("/a\nb", &Theme::plain());
        assert_eq!(input.text(), "/ab");
        let press =
            |input: &mut LineInput, code, modifiers| input.key(KeyEvent::new(code, modifiers));
        assert!(!press(&mut input, KeyCode::Enter, KeyModifiers::NONE));
        assert!(!press(&mut input, KeyCode::Char('m'), KeyModifiers::CONTROL));
        assert!(press(&mut input, KeyCode::Char('c'), KeyModifiers::NONE));
        assert!(press(&mut input, KeyCode::Backspace, KeyModifiers::NONE));
        input.insert("/\r\nx");
        assert_eq!(input.text(), "/ab/x");
    }
}
