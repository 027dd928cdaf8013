//! Conversations as Markdown and JSON.

use std::fmt::Write;

use artgpt_base::text::{printable, printable_lines};
use artgpt_chat::{Conversation, FinishReason, Role};

/// The current branch as Markdown.
pub fn to_markdown(c: &Conversation) -> String {
    let mut out = String::new();
    let title = if c.session.title.is_empty() { "Untitled" } else { &c.session.title };
    let _ = writeln!(out, "# {}\n", printable(title));
    let _ = writeln!(out, "- session {}", c.session.id);
    let _ = writeln!(out, "- model {}", printable(&c.session.model));
    let _ = writeln!(out, "- begun {}, last changed {}", c.session.created, c.session.updated);
    for (i, art) in c.session.artworks.iter().enumerate() {
        let path = printable(&art.path.display().to_string());
        let _ = writeln!(out, "- artwork {}: {path} (sha256 {})", i + 1, art.sha256);
        for (name, value) in art.label.iter().flat_map(|l| l.fields()) {
            let _ = writeln!(out, "  - {name}: {}", printable(value));
        }
        if let Some(credit) = art.label.as_ref().and_then(|l| l.credit.as_ref()) {
            let _ = writeln!(out, "  - credit: {}", printable(credit));
        }
    }
    for turn in c.path(None) {
        let who = match turn.role {
            Role::User => "You",
            Role::Assistant => "Model",
            Role::System => "System",
        };
        let shown: Vec<_> = turn.artworks.iter().map(|i| (i + 1).to_string()).collect();
        let with = match shown.is_empty() {
            true => String::new(),
            false => format!(" (artwork {})", shown.join(", ")),
        };
        let _ = writeln!(out, "\n**{who}**{with}:\n\n{}", printable_lines(turn.text.trim()));
        if let Some(reason) = &turn.failure {
            let _ = writeln!(out, "\n*(the answer failed: {})*", printable(reason));
            continue;
        }
        let ended = match (turn.complete, turn.finish_reason) {
            (false, _) => "the answer was cut off",
            (true, Some(FinishReason::Cancelled)) => "the answer was stopped",
            (true, Some(FinishReason::Length)) => "the answer reached its length limit",
            _ => continue,
        };
        let _ = writeln!(out, "\n*({ended})*");
    }
    out
}

/// The whole conversation as JSON; `sessions import` reads it back without loss.
pub fn to_json(c: &Conversation) -> String {
    serde_json::to_string_pretty(c).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use artgpt_chat::Session;

    #[test]
    fn json_is_lossless_and_markdown_is_harmless() {
        let mut c = Conversation::new(Session::new("m", Some("be brief".into())));
        let turn = c.user_turn("\u{1b}[31mred?", vec![]);
        c.turns.push(turn);
        let back: Conversation = serde_json::from_str(&to_json(&c)).expect("parses");
        assert_eq!(back, c);
        let failed = c.assistant_turn("").failed("", "HTTP 500");
        c.turns.push(failed);
        let text = to_markdown(&c);
        assert!(text.contains("*(the answer failed: HTTP 500)*"), "{text}");
        assert!(text.contains("**You**") && !text.contains('\u{1b}'));
    }
}
