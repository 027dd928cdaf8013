//! The last line: the model, what is going on, the keys.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};
use unicode_width::UnicodeWidthStr;

use super::layout::Areas;
use super::state::{ModelState, Notice, State};
use crate::tui::keys::{ChatAction, Context};
use artgpt_chat::Usage;

/// A longer message is cut; none of ours is that long.
const MAX_NOTICE_LINES: usize = 6;
/// A run's name may be long.
const MAX_NAME_CHARS: usize = 24;

pub(super) fn view(state: &State, area: Rect, frame: &mut Frame) {
    let theme = state.theme();
    if let Some(notice) = state.notice.as_ref().filter(|n| fits(n, area.width)) {
        let line = Line::styled(notice.text.clone(), style(state, notice));
        frame.render_widget(Paragraph::new(line), area);
        return;
    }
    let mut spans = vec![Span::styled(model(&state.model), theme.accent)];
    if state.unsaved.is_some() {
        spans.push(Span::styled("  not saved", theme.error));
    }
    if let Some(answer) = &state.answer {
        let text = match answer.usage {
            None => "  reading the question".to_string(),
            Some(_) => {
                let known = [
                    answer.tokens.map(|n| format!("{n} tokens")),
                    answer.tokens_per_second.map(|rate| format!("{rate:.0} tokens/s")),
                    Some(format!("{} stops", state.ui.keymap.shown(ChatAction::Stop))),
                ];
                format!("  {}", Vec::from_iter(known.into_iter().flatten()).join(", "))
            }
        };
        spans.push(Span::styled(text, theme.success));
    } else if let Some((usage, rate)) = &state.last_usage {
        spans.push(Span::styled(format!("  {}", counts(usage, *rate)), theme.dim));
    }
    let used: usize = spans.iter().map(Span::width).sum();
    let room = usize::from(area.width).saturating_sub(used);
    let contexts = [Context::Chat, Context::Composer, Context::Global];
    let keys = state.ui.keymap.hint_line(&contexts, room.saturating_sub(2));
    if !keys.is_empty() {
        spans.push(Span::raw(" ".repeat(room.saturating_sub(keys.chars().count()))));
        spans.push(Span::styled(keys, theme.dim));
    }
    frame.render_widget(Paragraph::new(Line::from(spans)), area);
}

/// The counts of the last answer, as far as they are known.
fn counts(usage: &Usage, rate: Option<f64>) -> String {
    let cached = usage.cached_tokens.map(|n| format!(" ({n} cached)")).unwrap_or_default();
    let prompt = usage.prompt_tokens.map(|n| format!("{n} prompt tokens{cached}"));
    let rate = rate.map(|rate| format!(" at {rate:.0}/s")).unwrap_or_default();
    let answer = usage.answer_tokens.map(|n| format!("{n} answered{rate}"));
    Vec::from_iter([prompt, answer].into_iter().flatten()).join(", ")
}

fn model(state: &ModelState) -> String {
    match state {
        ModelState::Fetching { name, done, bytes } => {
            let percent = (100 * done).checked_div(*bytes).unwrap_or(0).min(100);
            format!("fetching {name} {percent} % of {} MB", bytes / 1_000_000)
        }
        ModelState::Preparing(step) => step.clone(),
        ModelState::Loading { part, fraction } => {
            format!("loading {part} {:.0} %", fraction * 100.0)
        }
        ModelState::Ready(info) => match info.name.char_indices().nth(MAX_NAME_CHARS) {
            Some((end, _)) => format!("{}…", &info.name[..end]),
            None => info.name.clone(),
        },
        ModelState::Unusable(_) => "no model".into(),
    }
}

/// A notice that does not fit the status line, or has none, covers the end of the conversation.
pub(super) fn view_long_notice(state: &State, areas: &Areas, frame: &mut Frame) {
    let Some(notice) = &state.notice else { return };
    if areas.status.is_some_and(|area| fits(notice, area.width)) {
        return;
    }
    let area = areas.composer;
    let lines = textwrap::wrap(&notice.text, usize::from(area.width.max(1)));
    let height = (lines.len().min(MAX_NOTICE_LINES) as u16).min(area.y);
    let band = Rect { y: area.y - height, height, ..area };
    let text: Vec<Line> = lines
        .into_iter()
        .map(|line| Line::styled(line.into_owned(), style(state, notice)))
        .collect();
    frame.render_widget(Clear, band);
    frame.render_widget(Paragraph::new(text), band);
}

fn fits(notice: &Notice, width: u16) -> bool {
    notice.text.width() <= usize::from(width)
}

fn style(state: &State, notice: &Notice) -> Style {
    if notice.error { state.theme().error } else { state.theme().success }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_counts_are_left_out() {
        let mut usage = Usage::default();
        assert_eq!(counts(&usage, None), "");
        usage.answer_tokens = Some(2);
        assert_eq!(counts(&usage, None), "2 answered");
        usage.prompt_tokens = Some(9);
        assert_eq!(counts(&usage, Some(12.4)), "9 prompt tokens, 2 answered at 12/s");
        usage.cached_tokens = Some(7);
        assert_eq!(counts(&usage, Some(12.4)), "9 prompt tokens (7 cached), 2 answered at 12/s");
    }
}
