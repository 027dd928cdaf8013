//! Windows over the panel: its keys, and one run in detail.

use std::time::SystemTime;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use crate::text::printable;
use crate::tui::board::keys::HELP;
use crate::tui::board::state::Board;

pub fn draw(board: &Board, frame: &mut Frame) {
    let theme = &board.theme;
    let (title, lines) = if board.help {
        let line = |(key, what): &(&'static str, &'static str)| {
            Line::from(vec![
                Span::styled(format!("{key:<18}"), theme.accent),
                Span::styled(*what, theme.text),
            ])
        };
        (" Keys (Esc closes) ".to_string(), HELP.iter().map(line).collect())
    } else if board.details && board.chosen().is_some() {
        details(board)
    } else {
        return;
    };
    let screen = frame.area();
    let [_, area, _] = Layout::horizontal([
        Constraint::Fill(1),
        Constraint::Max(100.max(screen.width * 2 / 3)),
        Constraint::Fill(1),
    ])
    .areas::<3>(Rect { height: screen.height.saturating_sub(1), ..screen });
    let rows = (lines.len() as u16 + 2).min(area.height);
    let area = Rect { y: (area.height - rows) / 2, height: rows, ..area };
    frame.render_widget(Clear, area);
    let block = Block::bordered().title(title).style(theme.text).border_style(theme.accent);
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn details(board: &Board) -> (String, Vec<Line<'static>>) {
    let theme = &board.theme;
    let Some(chosen) = board.chosen() else { return Default::default() };
    let run = board.run(chosen);
    let mut lines = Vec::new();
    let mut say = |key: &str, value: String| {
        lines.push(Line::from(vec![
            Span::styled(format!("{key:<10}"), theme.dim),
            Span::styled(printable(&value), theme.text),
        ]));
    };
    say("path", run.path.display().to_string());
    let (step, total) = run.progress();
    let of = total.map_or(String::new(), |total| format!(" of {total}"));
    say("state", format!("{}, step {step}{of}", run.standing(SystemTime::now()).word()));
    if let Some(reason) = run.status.as_ref().and_then(|s| s.exit_reason.clone()) {
        say("reason", reason);
    }
    if let Some(trouble) = &run.trouble {
        say("trouble", trouble.clone());
    }
    if run.skipped > 0 {
        say("skipped", format!("{} lines that cannot be understood", run.skipped));
    }
    lines.push(Line::default());
    let head = format!(
        "{:<30} {:>9} {:>14} {:>14} {:>14}",
        "metric", "points", "last", "least", "greatest"
    );
    lines.push(Line::styled(head, theme.dim));
    for (name, series) in run.curves.iter() {
        let number = |v: Option<f64>| v.map_or("-".into(), |v| format!("{v:.6}"));
        let extremes = series.extremes(0..series.len());
        lines.push(Line::styled(
            format!(
                "{:<30} {:>9} {:>14} {:>14} {:>14}",
                crate::text::fit(&printable(name), 30),
                series.len(),
                number(series.last().map(|p| p.value)),
                number(extremes.map(|e| e.min)),
                number(extremes.map(|e| e.max)),
            ),
            theme.text,
        ));
    }
    (format!(" {} (Esc closes) ", printable(&run.name)), lines)
}
