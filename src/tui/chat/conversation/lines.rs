//! Turns as wrapped lines.

use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use crate::tui::chat::state::State;
use artgpt_base::text::{printable, printable_lines};
use artgpt_chat::{FinishReason, Role, TurnRecord};

/// Lines of the whole conversation at this width.
pub(super) fn count(state: &State, width: u16) -> usize {
    state.conversation.path(None).iter().map(|turn| turn_lines(state, turn, width).len()).sum()
}

/// One turn: who, the text, how it ended, and a blank line.
pub(super) fn turn_lines(state: &State, turn: &TurnRecord, width: u16) -> Vec<Line<'static>> {
    let theme = state.theme();
    let streaming = state.answer.as_ref().filter(|a| a.seq == turn.seq);
    let (who, style) = match turn.role {
        Role::User => ("You", theme.user),
        Role::Assistant => ("ArtGPT", theme.accent),
        Role::System => ("System", theme.dim),
    };
    let mut head = vec![Span::styled(who, style.add_modifier(Modifier::BOLD))];
    if let Some(names) = artworks(state, turn) {
        head.push(Span::styled(format!("  {names}"), theme.dim));
    }
    let mut lines = vec![Line::from(head)];
    let body = streaming.map_or(&turn.text, |answer| &answer.text);
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
    if let Some(reason) = &turn.failure {
        lines.extend(wrap(&printable(&format!("(failed: {reason})")), width, theme.error));
    } else if let Some(ended) = ended(turn).filter(|_| streaming.is_none()) {
        lines.push(Line::styled(ended, theme.dim));
    }
    lines.push(Line::default());
    lines
}

/// Why a turn ends where it does, unless the model was done.
fn ended(turn: &TurnRecord) -> Option<&'static str> {
    match (turn.complete, turn.finish_reason) {
        (false, _) => Some("(cut off)"),
        (true, Some(FinishReason::Cancelled)) => Some("(stopped)"),
        (true, Some(FinishReason::Length)) => Some("(reached its length limit)"),
        _ => None,
    }
}

/// The artworks shown with a turn, by title or file name.
fn artworks(state: &State, turn: &TurnRecord) -> Option<String> {
    let known = turn.artworks.iter().filter_map(|i| state.conversation.session.artworks.get(*i));
    let names: Vec<String> = known
        .map(|artwork| {
            let title = artwork.label.as_ref().and_then(|label| label.title.clone());
            let file = artwork.path.file_name().unwrap_or_default();
            printable(&title.unwrap_or_else(|| file.to_string_lossy().into_owned()))
        })
        .collect();
    (!names.is_empty()).then(|| format!("[{}]", names.join(", ")))
}

pub(super) fn wrap(text: &str, width: u16, style: Style) -> Vec<Line<'static>> {
    let options = textwrap::Options::new(usize::from(width.max(1)));
    let lines = textwrap::wrap(text, options).into_iter();
    lines.map(|line| Line::styled(line.into_owned(), style)).collect()
}
