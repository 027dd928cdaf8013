//! The last line: the model, what is going on, the keys.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr;

use crate::tui::app::{ModelState, State};

const KEYS: &str = "Ctrl-O open  Ctrl-P questions  F1 keys  Ctrl-Q quit";

pub fn draw(state: &State, area: Rect, frame: &mut Frame) {
    let theme = &state.theme;
    if let Some(notice) = &state.notice {
        let style = if notice.error { theme.error } else { theme.success };
        let mut text = notice.text.clone();
        // The advice stands at the end, so the middle is what can go.
        if text.width() > usize::from(area.width) {
            text = shorten(&text, usize::from(area.width));
        }
        frame.render_widget(Paragraph::new(Line::styled(text, style)), area);
        return;
    }
    let mut spans = vec![Span::styled(model(&state.model), theme.accent)];
    if state.unsaved.is_some() {
        spans.push(Span::styled("  not saved", theme.error));
    }
    if let Some(answer) = &state.answer {
        let text = match answer.usage {
            None => "  reading the question".to_string(),
            Some(_) => format!(
                "  {} tokens, {:.0} tokens/s, Esc stops",
                answer.tokens, answer.tokens_per_second
            ),
        };
        spans.push(Span::styled(text, theme.success));
    } else if let Some((usage, rate)) = &state.last_usage {
        let text = format!(
            "  {} prompt tokens ({} cached), {} answered at {rate:.0}/s",
            usage.prompt_tokens, usage.cached_tokens, usage.answer_tokens
        );
        spans.push(Span::styled(text, theme.dim));
    }
    let used: usize = spans.iter().map(Span::width).sum();
    let room = usize::from(area.width).saturating_sub(used);
    if room >= KEYS.len() + 2 {
        spans.push(Span::raw(" ".repeat(room - KEYS.len())));
        spans.push(Span::styled(KEYS, theme.dim));
    }
    frame.render_widget(Paragraph::new(Line::from(spans)), area);
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
        ModelState::Ready(info) => info.name.clone(),
        ModelState::Unusable(_) => "no model".into(),
    }
}

/// Keeps both ends of a text.
fn shorten(text: &str, width: usize) -> String {
    if width < 5 {
        return text.chars().take(width).collect();
    }
    let take = |chars: &mut dyn Iterator<Item = char>, room: usize| {
        let mut out = Vec::new();
        let mut used = 0;
        for c in chars {
            used += unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
            if used > room {
                break;
            }
            out.push(c);
        }
        out
    };
    let head = take(&mut text.chars(), width / 2 - 1);
    let mut tail = take(&mut text.chars().rev(), width - width / 2 - 1);
    tail.reverse();
    head.into_iter().chain(['…']).chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_keeps_its_advice() {
        let short = shorten("cannot open it because of a long reason; check the path", 30);
        assert!(short.width() <= 30 && short.ends_with("check the path"), "{short}");
        assert!(shorten("漢字漢字漢字漢字", 9).width() <= 9);
    }
}
