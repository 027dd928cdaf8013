//! Windows over the panel: its keys, the form for a job, a question, a note.

use std::path::Path;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Wrap};

use crate::tui::board::form::{FIELDS, FormWindow};
use crate::tui::board::keys::HELP;
use crate::tui::board::state::{Asking, Board, Question};
use crate::tui::theme::Theme;
use artgpt_base::text::printable;

/// Runs that a question names.
const NAMED: usize = 12;

pub fn draw(board: &Board, frame: &mut Frame) {
    let theme = &board.theme;
    let (title, lines): (&str, Vec<Line>) = if board.help {
        let lines = HELP.iter().skip(board.help_scroll);
        (
            " Keys (Up, Down scroll; Esc closes) ",
            lines.map(|(key, what)| entry(theme, key, what)).collect(),
        )
    } else if let Some(Asking { runs, others, question }) = &board.asking {
        let mut names: Vec<String> = runs.iter().take(NAMED).map(|run| name(board, run)).collect();
        if runs.len() > NAMED {
            names.push(format!("and {} more", runs.len() - NAMED));
        }
        let name = match runs.len() {
            1 => names.concat(),
            several => format!("these {several} runs: {}", names.join(", ")),
        };
        let (title, what, then) = match question {
            Question::Stop => {
                (" Stop ", "Stop", "A checkpoint is written first; P goes on from there.")
            }
            Question::Remove => {
                (" Delete ", "Delete", "Metrics, checkpoints and weights are gone then, for good.")
            }
        };
        let mut lines = vec![Line::from(format!("{what} {}?", printable(&name)))];
        if *others > 0 {
            let text =
                format!("Of the marked runs {others} cannot be meant, and stay as they are.");
            lines.push(Line::from(text));
        }
        lines.extend([
            Line::from(then),
            Line::default(),
            Line::styled("y: yes   any other key: leave it", theme.dim),
        ]);
        (title, lines)
    } else if let Some(form) = &board.form {
        (" New job ", fields(form, theme))
    } else if let Some(noting) = &board.noting {
        let several = noting.runs.len() > 1;
        let lines = vec![
            Line::from(vec![Span::raw(printable(&noting.note)), Span::styled("▏", theme.accent)]),
            Line::default(),
            Line::styled("Enter: keep it   Esc: leave it   #words are tags", theme.dim),
        ];
        (if several { " Words for the notes of all marked runs " } else { " Note " }, lines)
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
    let block = Block::bordered().title(title).style(theme.text).border_style(theme.accent);
    let width = usize::from(area.width.saturating_sub(2)).max(1);
    // Words that do not fit may need one line more.
    let needed = |line: &Line| match line.width() {
        short if short <= width => 1,
        long => long.div_ceil(width) + 1,
    };
    let rows = lines.iter().map(needed).sum::<usize>() + 2;
    let rows = u16::try_from(rows).unwrap_or(u16::MAX).min(area.height);
    let text = Paragraph::new(lines).wrap(Wrap { trim: false });
    let area = Rect { y: (area.height - rows) / 2, height: rows, ..area };
    frame.render_widget(Clear, area);
    frame.render_widget(text.block(block), area);
}

fn name(board: &Board, path: &Path) -> String {
    let id = path.file_name().unwrap_or_default().to_string_lossy();
    let told = board.run_at(path);
    match told.as_ref().and_then(|run| run.title()) {
        Some(title) => format!("{title} ({id})"),
        None => id.into_owned(),
    }
}

fn entry(theme: &Theme, key: &'static str, what: &'static str) -> Line<'static> {
    Line::from(vec![
        Span::styled(format!("{key:<18}"), theme.accent),
        Span::styled(what, theme.text),
    ])
}

fn fields(form: &FormWindow, theme: &Theme) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for (i, (name, usual)) in FIELDS.iter().enumerate() {
        let chosen = i == form.at;
        let value = form.typed(i);
        let name =
            Span::styled(format!("{name:<14} "), if chosen { theme.accent } else { theme.dim });
        let cursor = Span::styled(if chosen { "▏" } else { "" }, theme.accent);
        lines.push(match value.is_empty() {
            true => Line::from(vec![name, cursor, Span::styled(*usual, theme.dim)]),
            false => {
                let at = if chosen { form.cursor() } else { usize::MAX };
                let before: String = value.chars().take(at).collect();
                let after: String = value.chars().skip(at).collect();
                let spans = [name, Span::raw(printable(&before)), cursor];
                Line::from_iter(spans.into_iter().chain([Span::raw(printable(&after))]))
            }
        });
    }
    lines.push(Line::default());
    if !form.candidates.is_empty() {
        let names = form.candidates.iter().map(|path| {
            let end = path.trim_end_matches('/').rfind('/').map_or(0, |at| at + 1);
            printable(&path[end..])
        });
        lines.push(Line::styled(names.collect::<Vec<_>>().join("   "), theme.dim));
    }
    lines.push(match (&form.told, form.busy) {
        (_, true) if form.submits() => Line::styled("submitting …", theme.accent),
        (_, true) => Line::styled("looking at it …", theme.accent),
        (None, _) => Line::styled(
            "Enter: check it   Tab: complete   Up, Down: fields   Esc: close",
            theme.dim,
        ),
        (Some(Err(wrong)), _) => Line::styled(printable(wrong), theme.error),
        (Some(Ok(needs)), _) => Line::styled(
            format!("good: {}   Enter: submit   Esc: close", printable(needs)),
            theme.success,
        ),
    });
    lines
}
