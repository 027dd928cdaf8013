//! The list of runs.

use std::time::SystemTime;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, List, ListItem, ListState, Paragraph, Wrap};
use unicode_width::UnicodeWidthStr;

use crate::tui::board::state::{Board, Focus, Listed};
use crate::tui::theme::Theme;
use artgpt_base::text::{duration, fit, number, printable};
use artgpt_rundir::RunState;
use artgpt_runs::Standing;

/// Rows of this width have room for the last value of the chosen chart.
const WITH_VALUE: u16 = 60;

/// Whether a run is pinned, shown and marked.
pub fn mark(entry: &Listed) -> String {
    let sign = match (entry.pinned, entry.shown) {
        (true, true) => "◆",
        (true, false) => "◇",
        (false, true) => "●",
        (false, false) => "○",
    };
    format!("{sign}{}", if entry.marked { "*" } else { " " })
}

pub fn standing_style(standing: Standing, theme: &Theme) -> Style {
    match standing {
        Standing::Told(RunState::Failed) | Standing::Lost => theme.error,
        standing if standing.runs() => theme.success,
        _ => theme.dim,
    }
}

pub fn draw(board: &Board, area: Rect, frame: &mut Frame) {
    let theme = &board.theme;
    let listed = board.listed();
    let shown = board.drawn().count();
    let there = (0..board.runs.len()).filter(|i| !board.run(*i).gone).count();
    let marked = match listed.iter().filter(|i| board.runs[**i].marked).count() {
        0 => String::new(),
        some => format!("· {some} marked "),
    };
    let title = match board.filter.is_empty() {
        true => format!(" Runs {} · {shown} shown {marked}", listed.len()),
        false => format!(" Runs {} of {there} · {shown} shown {marked}", listed.len()),
    };
    let focused = board.focus == Focus::List;
    let block = Block::bordered().title(title).border_style(if focused {
        theme.accent
    } else {
        theme.border
    });
    let inner = block.inner(area);
    let now = SystemTime::now();
    let items: Vec<ListItem> = listed
        .iter()
        .map(|i| {
            let entry = &board.runs[*i];
            let run = board.run(*i);
            let standing = run.standing(now);
            let steps = run.steps();
            let word = standing.word();
            let value = board.metric().filter(|_| inner.width >= WITH_VALUE).and_then(|metric| {
                Some(format!("{} ", number(run.curves.get(metric)?.last()?.value)))
            });
            let left = run.left(now).filter(|_| inner.width >= WITH_VALUE);
            let left = left.map_or(String::new(), |left| format!("{} left  ", duration(left)));
            let value = left + &value.unwrap_or_default();
            let right = format!("{value}{steps} {word}");
            let room = usize::from(inner.width).saturating_sub(right.chars().count() + 4);
            let note = board.note(&run);
            let tags = note.split_whitespace().filter(|word| word.starts_with('#'));
            let title = run.title().unwrap_or(&run.name);
            let name = std::iter::once(title).chain(tags).collect::<Vec<_>>().join(" ");
            let name = fit(&printable(&name), room);
            let pad = room.saturating_sub(name.width());
            let told = standing_style(standing, theme);
            ListItem::new(Line::from(vec![
                Span::styled(mark(entry), Style::new().fg(entry.colour)),
                Span::styled(format!("{name}{:pad$} ", ""), theme.text),
                Span::styled(value, theme.text),
                Span::styled(steps + " ", theme.dim),
                Span::styled(word, told),
            ]))
        })
        .collect();
    let block = match board.chosen() {
        Some(i) => {
            let run = board.run(i);
            let note = Some(board.note(&run)).filter(|note| !note.is_empty());
            let note = note.map_or(String::new(), |note| format!(" · {note}"));
            let room = usize::from(area.width).saturating_sub(4);
            let under = fit(&printable(&format!("{}{note}", run.name)), room);
            block.title_bottom(format!(" {under} "))
        }
        None => block,
    };
    let mut state = ListState::default().with_selected(Some(board.place(&listed)));
    let list = List::new(items).block(block).highlight_style(if focused {
        theme.selected
    } else {
        Style::new().bold()
    });
    frame.render_stateful_widget(list, area, &mut state);
    if listed.is_empty() && there > 0 {
        let text = Paragraph::new("no run is like that; Esc ends the filter").style(theme.dim);
        frame.render_widget(text.wrap(Wrap { trim: false }), inner);
    }
}
