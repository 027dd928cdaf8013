//! Windows over the conversation.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, List, ListItem, ListState, Paragraph};

use crate::tui::app::{Popup, State};
use crate::tui::keymap::BINDINGS;
use artgpt_base::text::printable;

pub fn draw(state: &State, screen: Rect, frame: &mut Frame) {
    let Some(popup) = &state.popup else { return };
    let area = centred(screen, 90, 26);
    if area.is_empty() {
        return;
    }
    let theme = &state.theme;
    let title = match popup {
        Popup::Help { .. } => " Keys (Esc closes) ",
        Popup::Open(_) => " Open an artwork (Tab completes, Enter opens, Alt-Enter adds) ",
        Popup::Sessions { confirm: true, .. } => " Delete it? d again deletes, Esc keeps ",
        Popup::Sessions { .. } => " Sessions (Enter resumes, d deletes) ",
        Popup::Models { .. } => " Models and runs (Enter takes one) ",
        Popup::Questions { .. } => " Questions (Enter takes one) ",
    };
    let block = Block::bordered().title(title).style(theme.text).border_style(theme.accent);
    let inner = block.inner(area);
    frame.render_widget(Clear, area);
    frame.render_widget(block, area);
    match popup {
        Popup::Help { scroll } => {
            let lines: Vec<Line> = BINDINGS
                .iter()
                .map(|b| {
                    Line::from(vec![
                        Span::styled(format!("{:<18}", b.shown), theme.accent),
                        Span::styled(b.help, theme.text),
                    ])
                })
                .collect();
            frame.render_widget(Paragraph::new(lines).scroll((*scroll, 0)), inner);
        }
        Popup::Open(window) => {
            let [line, rest] =
                Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(inner);
            frame.render_widget(&window.input, line);
            let items = window.candidates.iter().map(|c| {
                // The folder part is in the line above.
                let trimmed = c.path.trim_end_matches('/');
                let at = trimmed.rfind('/').map_or(0, |i| i + 1);
                let name = printable(&c.path[at..]);
                ListItem::new(match &c.title {
                    Some(title) => Line::from(vec![
                        Span::styled(format!("{name:<14}"), theme.dim),
                        Span::styled(title.clone(), theme.text),
                    ]),
                    None => Line::from(name),
                })
            });
            list(state, items.collect(), window.selected, rest, frame);
        }
        Popup::Models { list: Some(choices), selected } => {
            let items = choices.iter().map(|c| {
                ListItem::new(Line::from(vec![
                    Span::styled(format!("{:<28}", printable(&c.heading)), theme.accent),
                    Span::styled(printable(&c.description), theme.text),
                ]))
            });
            list(state, items.collect(), Some(*selected), inner, frame);
        }
        Popup::Models { list: None, .. } | Popup::Sessions { list: None, .. } => {
            frame.render_widget(Paragraph::new("reading …").style(theme.dim), inner);
        }
        Popup::Sessions { list: Some(sessions), .. } if sessions.is_empty() => {
            let text = "There are none yet. A session is kept from its first question on.";
            frame.render_widget(Paragraph::new(text).style(theme.dim), inner);
        }
        Popup::Sessions { list: Some(sessions), selected, .. } => {
            let items = sessions.iter().map(|s| {
                let title = if s.title.is_empty() { "Untitled" } else { &s.title };
                ListItem::new(Line::from(vec![
                    Span::styled(format!("{}  ", s.updated.strftime("%Y-%m-%d %H:%M")), theme.dim),
                    Span::styled(printable(title), theme.text),
                ]))
            });
            list(state, items.collect(), Some(*selected), inner, frame);
        }
        Popup::Questions { list: questions, selected } => {
            let items = questions.iter().map(|q| {
                ListItem::new(Line::from(vec![
                    Span::styled(format!("{:<24}", q.heading), theme.dim),
                    Span::styled(q.text.clone(), theme.text),
                ]))
            });
            list(state, items.collect(), Some(*selected), inner, frame);
        }
    }
}

fn list(
    state: &State,
    items: Vec<ListItem>,
    selected: Option<usize>,
    area: Rect,
    frame: &mut Frame,
) {
    let widget = List::new(items).highlight_style(state.theme.selected);
    let mut position = ListState::default().with_selected(selected);
    frame.render_stateful_widget(widget, area, &mut position);
}

/// At most `width` x `height` cells in the middle of the screen.
fn centred(screen: Rect, width: u16, height: u16) -> Rect {
    // A margin of a column or two would only show scraps of the page behind.
    let width = if screen.width < width + 8 { screen.width } else { width };
    let height = height.min(screen.height.saturating_sub(2));
    Rect {
        x: screen.x + (screen.width - width) / 2,
        y: screen.y + (screen.height - height) / 2,
        width,
        height,
    }
}
