//! Draws the form for a new job.

use ratatui::Frame;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::form::Field;
use super::form_window::FormWindow;
use crate::tui::components::message;
use crate::tui::keys::{FormAction, Hints};
use crate::tui::panel::state::Panel;
use artgpt_base::text::printable;

pub(crate) fn draw(panel: &Panel, form: &FormWindow, frame: &mut Frame) {
    message("New job", fields(panel, form), &panel.theme, frame);
}

fn fields(panel: &Panel, form: &FormWindow) -> Vec<Line<'static>> {
    let theme = &panel.theme;
    let mut lines = Vec::new();
    for field in Field::ALL {
        let chosen = field == form.selected;
        let value = form.typed(field);
        let style = if chosen { theme.accent } else { theme.dim };
        let mut line = Line::from(Span::styled(format!("{:<14} ", field.name()), style));
        match chosen {
            true => line.extend(form.input().spans(Style::new(), theme)),
            false => line.push_span(Span::raw(printable(&value))),
        }
        if value.is_empty() {
            line.push_span(Span::styled(field.hint(), theme.dim));
        }
        lines.push(line);
    }
    lines.push(Line::default());
    if !form.candidates.is_empty() {
        let names = form.candidates.iter().map(|path| {
            let end = path.trim_end_matches('/').rfind('/').map_or(0, |at| at + 1);
            printable(&path[end..])
        });
        lines.push(Line::styled(names.collect::<Vec<_>>().join("   "), theme.dim));
    }
    lines.push(match (&form.answer, form.busy) {
        (_, true) if form.is_submitting() => Line::styled("submitting …", theme.accent),
        (_, true) => Line::styled("checking …", theme.accent),
        (None, _) => {
            let hints = Hints::new(&panel.keymap)
                .add(&[FormAction::Send], "check")
                .add(&[FormAction::Complete], "complete")
                .add(&[FormAction::Previous, FormAction::Next], "fields")
                .add(&[FormAction::Close], "close");
            Line::styled(hints.text(), theme.dim)
        }
        (Some(Err(wrong)), _) => Line::styled(printable(wrong), theme.error),
        (Some(Ok(needs)), _) => {
            let hints = Hints::new(&panel.keymap)
                .add(&[FormAction::Send], "submit")
                .add(&[FormAction::Close], "close");
            let text = format!("good: {}   {}", printable(needs), hints.text());
            Line::styled(text, theme.success)
        }
    });
    lines
}
