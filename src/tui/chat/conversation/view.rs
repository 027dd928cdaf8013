//! Draws the conversation.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::lines::{turn_lines, wrap};
use crate::tui::chat::state::State;
use crate::tui::keys::ChatAction;

pub(in crate::tui::chat) fn view(state: &State, area: Rect, frame: &mut Frame) {
    if area.is_empty() {
        return;
    }
    let turns = state.conversation.path(None);
    if turns.is_empty() {
        frame.render_widget(Paragraph::new(welcome(state, area.width)), area);
        return;
    }
    // From the newest back, only as far as the screen needs.
    let needed = usize::from(area.height) + state.scroll;
    let mut blocks = Vec::new();
    let mut count = 0;
    for turn in turns.iter().rev() {
        let block = turn_lines(state, turn, area.width);
        count += block.len();
        blocks.push(block);
        if count >= needed {
            break;
        }
    }
    let lines: Vec<Line> = blocks.into_iter().rev().flatten().collect();
    let end = lines.len().saturating_sub(state.scroll);
    let start = end.saturating_sub(usize::from(area.height));
    let shown: Vec<Line> = lines.into_iter().skip(start).take(end - start).collect();
    frame.render_widget(Paragraph::new(shown), area);
    if state.scroll > 0 {
        let text = format!(" {} more below ", state.scroll);
        let width = (text.len() as u16).min(area.width);
        let place = Rect::new(area.right() - width, area.bottom() - 1, width, 1);
        frame.render_widget(Paragraph::new(text).style(state.theme().selected), place);
    }
}

fn welcome(state: &State, width: u16) -> Vec<Line<'static>> {
    let key = |action| state.ui.keymap.shown(action);
    let questions = key(ChatAction::Questions);
    let text = match state.artwork.shown {
        Some(_) => format!("Ask about the artwork below. {questions} shows questions."),
        None => format!(
            "Open an artwork with {}, then ask about it.\n{questions} shows questions, {} earlier sessions, {} all keys.",
            key(ChatAction::Open),
            key(ChatAction::Sessions),
            key(ChatAction::Help),
        ),
    };
    wrap(&text, width, state.theme().dim)
}
