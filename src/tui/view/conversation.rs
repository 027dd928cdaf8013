//! The conversation: who said what, wrapped to the width, newest at the bottom.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::tui::app::State;
use artgpt_base::text::{printable, printable_lines};
use artgpt_chat::{FinishReason, Role, TurnRecord};

pub fn draw(state: &State, area: Rect, frame: &mut Frame) {
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
    let mut lines: Vec<Line> = Vec::new();
    for turn in turns.iter().rev() {
        let mut block = turn_lines(state, turn, area.width);
        block.append(&mut lines);
        lines = block;
        if lines.len() >= needed {
            break;
        }
    }
    let end = lines.len().saturating_sub(state.scroll);
    let start = end.saturating_sub(usize::from(area.height));
    let shown: Vec<Line> = lines.drain(start..end).collect();
    frame.render_widget(Paragraph::new(shown), area);
    if state.scroll > 0 {
        let text = format!(" {} more below ", state.scroll);
        let width = (text.len() as u16).min(area.width);
        let place = Rect::new(area.right() - width, area.bottom() - 1, width, 1);
        frame.render_widget(Paragraph::new(text).style(state.theme.selected), place);
    }
}

/// All lines of the conversation at this width.
pub fn line_count(state: &State, width: u16) -> usize {
    state.conversation.path(None).iter().map(|t| turn_lines(state, t, width).len()).sum()
}

fn welcome(state: &State, width: u16) -> Vec<Line<'static>> {
    let text = match state.shown {
        Some(_) => "Ask about the artwork below. Ctrl-P shows questions.",
        None => {
            "Open an artwork with Ctrl-O, then ask about it.\nCtrl-P shows questions, Ctrl-T earlier sessions, F1 all keys."
        }
    };
    wrap(text, width, state.theme.dim)
}

fn turn_lines(state: &State, turn: &TurnRecord, width: u16) -> Vec<Line<'static>> {
    let theme = &state.theme;
    let streaming = state.answer.as_ref().filter(|a| a.seq == turn.seq);
    let (who, style) = match turn.role {
        Role::User => ("You", theme.user),
        Role::Assistant => ("ArtGPT", theme.accent),
        Role::System => ("System", theme.dim),
    };
    let mut head = vec![Span::styled(who, style.add_modifier(Modifier::BOLD))];
    if let Some(note) = head_note(state, turn) {
        head.push(Span::styled(format!("  {note}"), theme.dim));
    }
    let mut lines = vec![Line::from(head)];
    let body = match streaming {
        Some(answer) => &answer.text,
        None => &turn.text,
    };
    let mut text = printable_lines(body.trim_start());
    if let Some(answer) = streaming {
        text.push_str(match (answer.saving, answer.usage) {
            (true, _) => "",
            (false, None) => "… reading",
            (false, Some(_)) => "▌",
        });
    }
    let body_style = if turn.role == Role::User { theme.text } else { theme.assistant };
    lines.extend(wrap(&text, width, body_style));
    if streaming.is_none() {
        let ended = match (turn.complete, turn.finish_reason) {
            (false, _) => Some("(cut off)"),
            (true, Some(FinishReason::Cancelled)) => Some("(stopped)"),
            (true, Some(FinishReason::Length)) => Some("(reached its length limit)"),
            _ => None,
        };
        if let Some(ended) = ended {
            lines.push(Line::styled(ended, theme.dim));
        }
    }
    lines.push(Line::default());
    lines
}

/// The artworks shown with a turn, by name.
fn head_note(state: &State, turn: &TurnRecord) -> Option<String> {
    let names: Vec<String> = turn
        .artworks
        .iter()
        .filter_map(|i| state.conversation.session.artworks.get(*i))
        .map(|a| {
            let title = a.label.as_ref().and_then(|l| l.title.clone());
            title.unwrap_or_else(|| {
                a.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
            })
        })
        .map(|name| printable(&name))
        .collect();
    (!names.is_empty()).then(|| format!("[{}]", names.join(", ")))
}

fn wrap(text: &str, width: u16, style: Style) -> Vec<Line<'static>> {
    let options = textwrap::Options::new(usize::from(width.max(1)));
    textwrap::wrap(text, options)
        .into_iter()
        .map(|line| Line::styled(line.into_owned(), style))
        .collect()
}
