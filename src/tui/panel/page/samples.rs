//! The samples tab: the model's answers about the same artworks at each checkpoint.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::load::PICTURE;
use super::state::Page;
use crate::tui::graphics::paint;
use crate::tui::panel::state::Panel;
use artgpt_base::text::printable;

/// Each picture beside the answers about it, newest first; scrolling goes back in time.
pub(crate) fn draw(panel: &Panel, page: &Page, area: Rect, frame: &mut Frame) {
    let theme = &panel.theme;
    let Some(last) = page.data.samples.last() else {
        let text =
            "no samples yet (our trainer writes them at checkpoints of answer and caption stages)";
        return frame.render_widget(Paragraph::new(text), area);
    };
    let (width, height) = PICTURE;
    for (i, sample) in last.answers.iter().enumerate() {
        let top = i as u16 * (height + 1);
        if top >= area.height {
            return;
        }
        let row = Rect { y: area.y + top, height: height.min(area.height - top), ..area };
        let picture = Rect { width: width.min(row.width), ..row };
        if let Some(Some(image)) = page.data.pictures.get(i) {
            paint(image, picture, panel.colours, frame.buffer_mut());
        }
        let text = Rect {
            x: row.x + width.min(row.width) + 1,
            width: row.width.saturating_sub(width + 1),
            ..row
        };
        let mut lines = vec![Line::styled(printable(&sample.artwork), theme.accent)];
        if !sample.question.is_empty() {
            lines.push(Line::styled(printable(&sample.question), theme.dim));
        }
        for at in page.data.samples.iter().rev().skip(page.scroll) {
            let Some(answer) = at.answers.get(i) else { continue };
            lines.push(Line::from(vec![
                Span::styled(format!("step {:>6}  ", at.step), theme.dim),
                Span::styled(printable(&answer.answer), theme.text),
            ]));
        }
        frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), text);
    }
}
