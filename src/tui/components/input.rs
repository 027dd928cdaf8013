//! Editors: of several lines for a question, of one line for a path, a filter or a field.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;
use ratatui_textarea::{CursorMove, TextArea};

use crate::tui::theme::Theme;
use artgpt_base::text::printable;

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
#[derive(Debug, Clone)]
pub(crate) struct LineInput {
    area: TextArea<'static>,
}

impl LineInput {
    /// With the cursor at the end of the text.
    pub(crate) fn new(text: &str) -> Self {
        let mut area = TextArea::new(vec![one_line(text)]);
        area.move_cursor(CursorMove::End);
        Self { area }
    }

    pub(crate) fn text(&self) -> String {
        self.area.lines().concat()
    }

    /// Inserts pasted text at the cursor. Returns whether the text has changed.
    pub(crate) fn insert(&mut self, text: &str) -> bool {
        self.area.insert_str(one_line(text))
    }

    /// Types or edits. Returns whether the text has changed.
    pub(crate) fn key(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            // These would begin a second line, or are no text.
            KeyCode::Enter | KeyCode::Tab | KeyCode::BackTab => false,
            KeyCode::Char('m' | 'j') if control => false,
            KeyCode::Char('u') if control => self.delete_to_start(),
            _ => self.area.input(key),
        }
    }

    /// Returns whether the text has changed.
    pub(crate) fn delete_to_start(&mut self) -> bool {
        self.area.delete_line_by_head()
    }

    /// Draws the line, scrolled so that the cursor is seen.
    pub(crate) fn draw(&self, theme: &Theme, area: Rect, frame: &mut Frame) {
        let mut editor = self.area.clone();
        editor.set_style(theme.text);
        editor.set_cursor_line_style(Style::new());
        frame.render_widget(&editor, area);
    }

    /// The text within a longer line, with a cursor.
    pub(crate) fn spans(&self, style: Style, theme: &Theme) -> [Span<'static>; 3] {
        let text = self.text();
        let at = text.char_indices().nth(self.area.cursor().1).map_or(text.len(), |(at, _)| at);
        let (before, after) = text.split_at(at);
        [
            Span::styled(printable(before), style),
            Span::styled("▏", theme.accent),
            Span::styled(printable(after), style),
        ]
    }
}

fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(input: &mut LineInput, code: KeyCode, modifiers: KeyModifiers) -> bool {
        input.key(KeyEvent::new(code, modifiers))
    }

    #[test]
    fn it_stays_one_line() {
        let mut input = LineInput::new("/a\nb");
        assert_eq!(input.text(), "/ab");
        for code in [KeyCode::Enter, KeyCode::Tab, KeyCode::BackTab] {
            assert!(!press(&mut input, code, KeyModifiers::NONE));
        }
        assert!(!press(&mut input, KeyCode::Char('m'), KeyModifiers::CONTROL));
        assert!(press(&mut input, KeyCode::Char('c'), KeyModifiers::NONE));
        assert!(press(&mut input, KeyCode::Backspace, KeyModifiers::NONE));
        assert!(input.insert("/\r\nx"));
        assert_eq!(input.text(), "/ab/x");
    }

    #[test]
    fn the_cursor_is_where_the_next_letter_goes() {
        let mut input = LineInput::new("état");
        let shown = |input: &LineInput| {
            input.spans(Style::new(), &Theme::plain()).map(|span| span.content.to_string()).concat()
        };
        assert_eq!(shown(&input), "état▏");
        press(&mut input, KeyCode::Left, KeyModifiers::NONE);
        press(&mut input, KeyCode::Char('l'), KeyModifiers::NONE);
        assert_eq!((shown(&input), input.text()), ("étal▏t".into(), "étalt".into()));
        // As in a shell.
        press(&mut input, KeyCode::Char('w'), KeyModifiers::CONTROL);
        assert_eq!(shown(&input), "▏t");
        press(&mut input, KeyCode::End, KeyModifiers::NONE);
        press(&mut input, KeyCode::Char('u'), KeyModifiers::CONTROL);
        assert_eq!(shown(&input), "▏");
    }
}
