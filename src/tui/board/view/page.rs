//! The page of one run.

use std::path::PathBuf;
use std::time::SystemTime;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Wrap};

use crate::tui::board::page::{PICTURE, Page, Part, parts};
use crate::tui::board::state::Board;
use crate::tui::graphics::paint;
use crate::tui::theme::Theme;
use artgpt_base::text::{fit, printable};
use artgpt_rundir::{MarkKind, RunState};
use artgpt_runs::Run;

pub fn draw(board: &Board, area: Rect, frame: &mut Frame) {
    let Some(page) = &board.page else { return };
    // Before the run's lock is taken: one that waits to write would keep a second reader out.
    let others = others(board, page);
    let Some(run) = board.paged() else { return };
    let theme = &board.theme;
    let title = match run.title() {
        Some(title) => format!("{title} · {}", run.name),
        None => run.name.clone(),
    };
    let title = format!(" {} ", fit(&printable(&title), usize::from(area.width) * 2 / 3));
    let block = Block::bordered()
        .title(title)
        .title_bottom(match page.part.has_tags() {
            true => {
                " Left, Right: parts   Up, Down: names   [ ]: steps   e: to a file   Esc: back "
            }
            false => match page.part {
                Part::Differences => {
                    " Left, Right: parts   Up, Down: lines   [ ]: columns   Esc: back "
                }
                Part::Parallel => " Left, Right: parts   [ ]: axes   Esc: back ",
                Part::Graph => " Left, Right: parts   Up, Down: lines   [ ]: levels   Esc: back ",
                _ => " Left, Right: parts   Up, Down: lines   Esc: back ",
            },
        })
        .style(theme.text)
        .border_style(theme.accent);
    let inner = block.inner(area);
    frame.render_widget(Clear, area);
    frame.render_widget(block, area);
    let head = Rect { height: inner.height.min(1), ..inner };
    frame.render_widget(
        Paragraph::new(names(&parts(&run, &page.texts), page.part, head.width, theme)),
        head,
    );
    let body = body(area);
    if page.part.has_tags() {
        return super::media::draw(board, &run, page, body, frame);
    }
    if page.part == Part::Samples {
        return samples(board, page, body, frame);
    }
    if page.part == Part::Parallel {
        drop(run); // it looks at all that are drawn
        return super::parallel::draw(board, page, body, frame);
    }
    if page.part == Part::Graph {
        let lines = super::graph::lines(&run, page, usize::from(body.height), theme);
        return frame.render_widget(Paragraph::new(lines), body);
    }
    let lines = match page.part {
        Part::Overview => overview(board, &run, page),
        Part::Config => config(page, theme),
        Part::Differences => differences(board, &run, page, &others),
        Part::Log => {
            let file = page.texts.log.clone();
            let log = if file.is_empty() { run.curves.about.console.told() } else { file };
            or_none(log.into_iter().map(Line::from).collect(), "no log")
        }
        Part::Events => events(&run, theme),
        Part::Adapters => adapters(page, theme),
        _ => Vec::new(),
    };
    let room = usize::from(body.height);
    let most = lines.len().saturating_sub(room);
    page.most.set(most);
    // A log is read from its end.
    let skipped = match page.part {
        Part::Log | Part::Events => most.saturating_sub(page.scroll),
        _ => page.scroll.min(most),
    };
    let shown: Vec<Line> = lines.into_iter().skip(skipped).take(room).collect();
    frame.render_widget(Paragraph::new(shown), body);
}

/// The names of the parts, moved so that the open one is seen.
fn names(parts: &[Part], open: Part, width: u16, theme: &Theme) -> Line<'static> {
    let width = usize::from(width);
    let at = parts.iter().position(|part| *part == open).unwrap_or(0);
    let wide = |parts: &[Part]| parts.iter().map(|part| part.name().len() + 2).sum::<usize>();
    // With a sign for those that are not seen, on either side.
    let first = (0..=at).find(|first| wide(&parts[*first..=at]) + 4 <= width).unwrap_or(at);
    let mut spans = Vec::new();
    spans.extend((first > 0).then(|| Span::styled("‹ ", theme.dim)));
    let mut used = 2;
    for (i, part) in parts.iter().enumerate().skip(first) {
        let style = if *part == open { theme.selected } else { theme.dim };
        used += part.name().len() + 2;
        let rest = if i + 1 < parts.len() { 2 } else { 0 };
        if used + rest > width && i > at {
            spans.push(Span::styled(" ›", theme.dim));
            break;
        }
        spans.push(Span::styled(format!(" {} ", part.name()), style));
    }
    Line::from(spans)
}

/// Of a page that takes this area, what stands under the names of its parts.
pub fn body(area: Rect) -> Rect {
    let inner = Block::bordered().inner(area);
    let head = inner.height.min(2);
    Rect { y: inner.y + head, height: inner.height - head, ..inner }
}

fn or_none(lines: Vec<Line<'static>>, none: &'static str) -> Vec<Line<'static>> {
    if lines.is_empty() { vec![Line::from(none)] } else { lines }
}

fn pair(theme: &Theme, key: &str, value: &str) -> Line<'static> {
    Line::from(vec![
        Span::styled(format!("{key:<12} "), theme.dim),
        Span::styled(printable(value), theme.text),
    ])
}

/// Cells of a bar.
const BAR: u64 = 40;

fn bar(step: u64, total: u64) -> String {
    let step = step.min(total);
    let full = (step as u128 * u128::from(BAR) / u128::from(total)) as usize;
    let percent = step as u128 * 100 / u128::from(total);
    format!("{}{} {percent} %", "█".repeat(full), "░".repeat(BAR as usize - full))
}

fn overview(board: &Board, run: &Run, page: &Page) -> Vec<Line<'static>> {
    let theme = &board.theme;
    let now = SystemTime::now();
    let mut lines = vec![pair(theme, "path", &run.path.display().to_string())];
    let mut say = |key: &str, value: String| lines.push(pair(theme, key, &value));
    say("state", format!("{}, step {}", run.standing(now).word(), run.steps()));
    if let (step, Some(total @ 1..)) = run.progress() {
        say("progress", bar(step, total));
    }
    if let Some(title) = run.title() {
        say("name", title.to_string());
    }
    if let Some(began) = run.curves.began().filter(|began| *began >= artgpt_runs::CALENDAR) {
        let at = jiff::Timestamp::from_second(began as i64).ok();
        let at = at.map(|at| at.to_zoned_datetime(jiff::tz::TimeZone::system()));
        let at = at.map_or(String::new(), |at| at.strftime("%Y-%m-%d %H:%M").to_string());
        let last = run.curves.iter().filter_map(|(_, s)| s.last()).map(|p| p.wall);
        let took = last.filter(|wall| wall.is_finite()).fold(began, f64::max) - began;
        say(
            "began",
            format!("{at}, {} from its first point to its last", artgpt_base::text::duration(took)),
        );
    }
    if let Some(phase) = run.status.as_ref().and_then(|s| s.phase.clone()) {
        say("phase", phase);
    }
    if let Some(left) = run.left(now) {
        say("left", format!("about {}", artgpt_base::text::duration(left)));
    }
    if let Some(reason) = run.status.as_ref().and_then(|s| s.exit_reason.clone()) {
        say("reason", reason);
    }
    if let Some(job) = &page.texts.job {
        let device = job.progress.slot.as_ref().unwrap_or(&job.spec.device);
        say(
            "job",
            format!(
                "on {device}, priority {}, {}",
                job.spec.priority,
                match job.progress.starts {
                    0 => "not started yet".to_string(),
                    1 => "started once".to_string(),
                    starts => format!("started {starts} times"),
                }
            ),
        );
        let queued = job.status.state == RunState::Queued;
        if let Some(why) = job.progress.waits_for.clone().filter(|_| queued) {
            say("waits for", why);
        }
        if !job.spec.after.is_empty() {
            say("after", job.spec.after.join(", "));
        }
    }
    let note = board.note(run);
    if !note.is_empty() {
        say("note", note);
    }
    let about = &run.curves.about;
    about.project.iter().for_each(|project| say("project", project.clone()));
    about.environment.iter().for_each(|(key, value)| say(key, value.clone()));
    for (key, value) in run.results() {
        say("result", format!("{key} = {value}"));
    }
    if let Some(trouble) = &run.trouble {
        say("trouble", trouble.clone());
    }
    if run.skipped > 0 {
        say("skipped", format!("{} lines that cannot be understood", run.skipped));
    }
    lines.push(Line::default());
    // The numbers need 62 columns; the name has the rest.
    let wide = usize::from(board.screen.width).saturating_sub(64).clamp(12, 40);
    for (i, row) in artgpt_runs::table(&run.curves).into_iter().enumerate() {
        let [name, points, last, least, at, greatest, to] = row;
        let text = format!(
            "{:<wide$} {points:>7} {last:>11} {least:>11} {at:>8} {greatest:>11} {to:>8}",
            fit(&printable(&name), wide)
        );
        lines.push(Line::styled(text, if i == 0 { theme.dim } else { theme.text }));
    }
    lines
}

fn config(page: &Page, theme: &Theme) -> Vec<Line<'static>> {
    let all = page.texts.settings.iter();
    let lines = all.map(|(key, value)| {
        Line::from(vec![
            Span::styled(format!("{:<32} ", printable(key)), theme.dim),
            Span::styled(printable(value), theme.text),
        ])
    });
    or_none(lines.collect(), "no configuration that can be read")
}

/// Where the other runs that are shown are, and what they are called.
fn others(board: &Board, page: &Page) -> Vec<(PathBuf, String)> {
    let all = board.drawn().map(|i| {
        let run = board.run(i);
        (run.path.clone(), run.title().unwrap_or(&run.name).to_string())
    });
    all.filter(|(path, _)| *path != page.run).collect()
}

fn differences(
    board: &Board,
    run: &Run,
    page: &Page,
    others: &[(PathBuf, String)],
) -> Vec<Line<'static>> {
    let theme = &board.theme;
    // Another run was shown or hidden a moment ago.
    let read = page.texts.compared.iter().skip(1);
    if !others.iter().map(|(path, _)| path).eq(read) && !page.texts.compared.is_empty() {
        return vec![Line::from("reading …")];
    }
    if others.is_empty() {
        return vec![Line::from("show other runs (Space on the list) to compare with them")];
    }
    let own = run.title().unwrap_or(&run.name);
    let shifted = others.iter().skip(page.back).map(|(_, name)| name.as_str());
    let names = std::iter::once(own).chain(shifted);
    let cell = |text: &str| format!("{:<22} ", fit(&printable(text), 22));
    let head: String = names.map(cell).collect();
    let mut lines = vec![Line::styled(format!("{:<28} {head}", ""), theme.dim)];
    for (key, values) in &page.texts.differences {
        let own = values.first().cloned().flatten();
        let mut spans = vec![Span::styled(format!("{:<28} ", fit(&printable(key), 28)), theme.dim)];
        let shown = values.iter().take(1).chain(values.iter().skip(1 + page.back));
        for value in shown {
            let style = if *value == own { theme.text } else { theme.accent };
            spans.push(Span::styled(cell(value.as_deref().unwrap_or("-")), style));
        }
        lines.push(Line::from(spans));
    }
    if page.texts.differences.is_empty() {
        lines.push(Line::from("no differences"));
    }
    lines
}

fn events(run: &Run, theme: &Theme) -> Vec<Line<'static>> {
    let lines = run.marks.iter().map(|mark| {
        let style = match mark.kind {
            kind if kind.is_trouble() => theme.error,
            MarkKind::Turn => theme.accent,
            _ => theme.text,
        };
        let time =
            mark.at.to_zoned_datetime(jiff::tz::TimeZone::system()).strftime("%m-%d %H:%M:%S");
        Line::from(vec![
            Span::styled(format!("{time}  step {:>7}  ", mark.step), theme.dim),
            Span::styled(printable(&mark.text), style),
        ])
    });
    let alerts = run.curves.about.alerts.iter().map(|alert| {
        Line::from(vec![
            Span::styled(format!("{:15} step {:>7}  ", "", alert.step), theme.dim),
            Span::styled(printable(&alert.what), theme.error),
        ])
    });
    or_none(lines.chain(alerts).collect(), "no checkpoints, warnings or rollbacks yet")
}

/// Each picture beside what was said of it, the newest first; scrolling goes back in time.
fn samples(board: &Board, page: &Page, area: Rect, frame: &mut Frame) {
    let theme = &board.theme;
    let Some(last) = page.texts.samples.last() else {
        let text = "no samples yet (our own runs, at checkpoints of answer and caption stages)";
        return frame.render_widget(Paragraph::new(text), area);
    };
    let (width, height) = PICTURE;
    page.most.set(page.texts.samples.len() - 1);
    for (i, sample) in last.answers.iter().enumerate() {
        let top = i as u16 * (height + 1);
        if top >= area.height {
            return;
        }
        let row = Rect { y: area.y + top, height: height.min(area.height - top), ..area };
        let picture = Rect { width: width.min(row.width), ..row };
        if let Some(Some(image)) = page.texts.pictures.get(i) {
            paint(image, picture, board.colours, frame.buffer_mut());
        }
        let text = Rect {
            x: row.x + width.min(row.width) + 1,
            width: row.width.saturating_sub(width + 1),
            ..row
        };
        let mut lines = vec![Line::styled(printable(&sample.artwork), theme.accent)];
        if !sample.question.is_empty() {
            lines.push(Line::styled(printable(&sample.question), theme.dim));
        }
        for at in page.texts.samples.iter().rev().skip(page.scroll) {
            let Some(answer) = at.answers.get(i) else { continue };
            lines.push(Line::from(vec![
                Span::styled(format!("step {:>6}  ", at.step), theme.dim),
                Span::styled(printable(&answer.answer), theme.text),
            ]));
        }
        frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), text);
    }
}

/// Heights of a sparkline.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Looks that a sparkline goes back.
const LOOKS: usize = 40;

fn adapters(page: &Page, theme: &Theme) -> Vec<Line<'static>> {
    let looks = &page.texts.looks;
    let Some(last) = looks.last() else {
        return vec![Line::from(
            "no look at the trained weights yet (our own runs, every 20 steps)",
        )];
    };
    let head =
        format!("{:<22} {:>12} {:>14}   update ratio so far", "trains in", "norm", "update ratio");
    let mut lines = vec![
        Line::styled(format!("after step {}", last.step), theme.dim),
        Line::styled(head, theme.dim),
    ];
    let most = last.blocks.iter().map(|b| b.update_ratio).fold(f64::MIN_POSITIVE, f64::max);
    for block in &last.blocks {
        let from = looks.len().saturating_sub(LOOKS);
        let history: Vec<f64> = looks[from..]
            .iter()
            .filter_map(|look| look.blocks.iter().find(|b| b.name == block.name))
            .map(|b| b.update_ratio)
            .collect();
        let top = history.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let line: String = history
            .iter()
            .map(|v| BARS[((v / top * 7.0).round() as usize).min(BARS.len() - 1)])
            .collect();
        // One far below the others learns nothing.
        let dead = block.update_ratio < most * 1e-4;
        let style = if dead { theme.error } else { theme.text };
        lines.push(Line::from(vec![
            Span::styled(
                format!(
                    "{:<22} {:>12.4} {:>14.3e}   ",
                    fit(&printable(&block.name), 22),
                    block.norm,
                    block.update_ratio
                ),
                style,
            ),
            Span::styled(line, theme.accent),
        ]));
    }
    lines
}
