//! The list of runs.

use std::time::SystemTime;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, List, ListItem, ListState};

use crate::runs::Standing;
use crate::text::{fit, printable};
use crate::training::RunState;
use crate::tui::board::state::{Board, Focus};

pub fn draw(board: &Board, area: Rect, frame: &mut Frame) {
    let theme = &board.theme;
    let listed = board.listed();
    let shown = board.runs.iter().filter(|r| r.shown).count();
    let title = match board.filter.is_empty() {
        true => format!(" Runs {} · {shown} shown ", listed.len()),
        false => format!(" Runs {} of {} · {shown} shown ", listed.len(), board.runs.len()),
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
            let right = format!("{steps} {word}");
            let room = usize::from(inner.width).saturating_sub(right.chars().count() + 4);
            let name = fit(&printable(&run.name), room);
            let mark = match (entry.pinned, entry.shown) {
                (true, true) => "◆ ",
                (true, false) => "◇ ",
                (false, true) => "● ",
                (false, false) => "○ ",
            };
            let told = match standing {
                Standing::Told(RunState::Failed) | Standing::Lost => theme.error,
                Standing::Told(RunState::Running) | Standing::Lively => theme.success,
                _ => theme.dim,
            };
            ListItem::new(Line::from(vec![
                Span::styled(mark, Style::new().fg(entry.colour)),
                Span::styled(format!("{name:room$} "), theme.text),
                Span::styled(steps + " ", theme.dim),
                Span::styled(word, told),
            ]))
        })
        .collect();
    let block = match board.chosen().and_then(|i| board.notes.get(&board.run(i).path)) {
        Some(note) => {
            let room = usize::from(area.width).saturating_sub(4);
            block.title_bottom(format!(" {} ", fit(&printable(note), room)))
        }
        None => block,
    };
    let mut state = ListState::default().with_selected(Some(board.cursor));
    let list = List::new(items).block(block).highlight_style(if focused {
        theme.selected
    } else {
        Style::new().bold()
    });
    frame.render_stateful_widget(list, area, &mut state);
}
