//! The differences tab: configuration keys in which the shown runs differ.

use ratatui::text::{Line, Span};

use super::state::Page;
use crate::tui::panel::state::Panel;
use artgpt_base::text::{fit, printable};
use artgpt_runs::Run;

/// How many lines there are.
pub(crate) fn count(panel: &Panel, page: &Page) -> usize {
    match message(panel, page) {
        Some(_) => 1,
        None => 1 + page.data.differences.len().max(1),
    }
}

/// Why there is no table yet.
fn message(panel: &Panel, page: &Page) -> Option<&'static str> {
    let others = panel.page_others();
    // A run was shown or hidden a moment ago.
    let read = page.data.compared.iter().skip(1);
    let current = others.iter().map(|i| &panel.run(*i).path);
    match () {
        () if !current.eq(read) && !page.data.compared.is_empty() => Some("reading …"),
        () if others.is_empty() => Some("show other runs (Space in the list) to compare with them"),
        () => None,
    }
}

pub(crate) fn lines(panel: &Panel, run: &Run, page: &Page) -> Vec<Line<'static>> {
    if let Some(message) = message(panel, page) {
        return vec![Line::from(message)];
    }
    let theme = &panel.theme;
    let others = panel.page_others();
    let name = |run: &Run| run.title().unwrap_or(&run.name).to_string();
    let shifted = others.iter().skip(page.back).map(|i| name(panel.run(*i)));
    let names = std::iter::once(name(run)).chain(shifted);
    let cell = |text: &str| format!("{:<22} ", fit(&printable(text), 22));
    let head: String = names.map(|name| cell(&name)).collect();
    let mut lines = vec![Line::styled(format!("{:<28} {head}", ""), theme.dim)];
    for (key, values) in &page.data.differences {
        let own = values.first().cloned().flatten();
        let mut spans = vec![Span::styled(format!("{:<28} ", fit(&printable(key), 28)), theme.dim)];
        let shown = values.iter().take(1).chain(values.iter().skip(1 + page.back));
        for value in shown {
            let style = if *value == own { theme.text } else { theme.accent };
            spans.push(Span::styled(cell(value.as_deref().unwrap_or("-")), style));
        }
        lines.push(Line::from(spans));
    }
    if page.data.differences.is_empty() {
        lines.push(Line::from("no differences"));
    }
    lines
}
