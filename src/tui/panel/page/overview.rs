//! The overview tab: what is known of a run, and a table of its metrics.

use ratatui::text::{Line, Span};

use super::state::Page;
use crate::tui::panel::state::Panel;
use crate::tui::theme::Theme;
use artgpt_base::text::{duration, fit, printable};
use artgpt_rundir::RunState;
use artgpt_runs::{CALENDAR, Run, table_head, table_row};

/// Cells of a bar.
const BAR: usize = 40;

fn bar(step: f64, total: u64) -> String {
    let share = (step / total as f64).clamp(0.0, 1.0);
    let full = (share * BAR as f64) as usize;
    let percent = (share * 100.0) as usize;
    format!("{}{} {percent} %", "█".repeat(full), "░".repeat(BAR - full))
}

/// How many lines there are.
pub(crate) fn count(panel: &Panel, run: &Run, page: &Page) -> usize {
    // A blank line, and the head of the table.
    facts(panel, run, page).len() + 2 + run.curves.iter().count()
}

pub(crate) fn lines(panel: &Panel, run: &Run, page: &Page) -> Vec<Line<'static>> {
    let theme = &panel.theme;
    let facts = facts(panel, run, page);
    let mut lines: Vec<Line> =
        facts.iter().map(|(key, value)| fact_line(theme, key, value)).collect();
    lines.push(Line::default());
    // The numbers need 62 columns, or 73; the name has the rest.
    let any = run.curves.iter().any(|(_, series)| series.not_finite() > 0);
    let numbers = if any { 75 } else { 64 };
    let wide = usize::from(panel.screen.width).saturating_sub(numbers).clamp(8, 40);
    let line = |row: [String; 8]| {
        let [name, points, last, min, at_min, max, at_max, not_finite] = row;
        let text = format!(
            "{:<wide$} {points:>7} {last:>11} {min:>11} {at_min:>8} {max:>11} {at_max:>8} {not_finite:>10}",
            fit(&printable(&name), wide)
        );
        text.trim_end().to_string()
    };
    lines.push(Line::styled(line(table_head(&run.curves)), theme.dim));
    // A run may have very many metrics: only the visible ones take work.
    let visible = page.scroll..page.scroll.saturating_add(panel.screen.height.into());
    for (name, series) in run.curves.iter() {
        lines.push(match visible.contains(&lines.len()) {
            true => Line::styled(line(table_row(name, series)), theme.text),
            false => Line::default(),
        });
    }
    lines
}

fn fact_line(theme: &Theme, key: &str, value: &str) -> Line<'static> {
    Line::from(vec![
        Span::styled(format!("{key:<12} "), theme.dim),
        Span::styled(printable(value), theme.text),
    ])
}

/// Keys and values, in order.
fn facts(panel: &Panel, run: &Run, page: &Page) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let mut add = |key: &str, value: String| facts.push((key.to_string(), value));
    add("path", run.path.display().to_string());
    add("state", format!("{}, step {}", run.standing(panel.now).word(), run.steps()));
    if let (step, Some(total @ 1..)) = run.progress() {
        add("progress", bar(step, total));
    }
    run.title().into_iter().for_each(|title| add("name", title.to_string()));
    times(panel, run).into_iter().for_each(|times| add("began", times));
    let status = run.status.as_ref();
    let phase = status.and_then(|status| status.phase.clone());
    phase.into_iter().for_each(|phase| add("phase", phase));
    if let Some(left) = run.left(panel.now) {
        add("left", format!("about {}", duration(left)));
    }
    let reason = status.and_then(|status| status.exit_reason.clone());
    reason.into_iter().for_each(|reason| add("reason", reason));
    job(page).into_iter().for_each(|(key, value)| add(key, value));
    let note = panel.note_of(run);
    if !note.is_empty() {
        add("note", note);
    }
    let about = &run.curves.about;
    about.project.iter().for_each(|project| add("project", project.clone()));
    about.environment.iter().for_each(|(key, value)| add(key, value.clone()));
    for (key, value) in run.results() {
        add("result", format!("{key} = {value}"));
    }
    run.trouble.iter().for_each(|trouble| add("error", trouble.clone()));
    run.skipped.iter().for_each(|part| add("skipped", part.to_string()));
    run.unread.iter().for_each(|file| add("not read", file.to_string()));
    facts
}

/// When the run began, and the time from its first point to its last.
fn times(panel: &Panel, run: &Run) -> Option<String> {
    let began = run.curves.began().filter(|began| *began >= CALENDAR)?;
    let at = jiff::Timestamp::from_second(began as i64).ok();
    let at = at.map(|at| at.to_zoned_datetime(panel.zone.clone()));
    let at = at.map_or(String::new(), |at| at.strftime("%Y-%m-%d %H:%M").to_string());
    let last = run.curves.iter().filter_map(|(_, s)| s.last()).map(|p| p.wall);
    let took = last.filter(|wall| wall.is_finite()).fold(began, f64::max) - began;
    Some(format!("{at}, {} from first to last point", duration(took)))
}

fn job(page: &Page) -> Vec<(&'static str, String)> {
    let Some(job) = &page.data.job else { return Vec::new() };
    let device = job.progress.slot.as_ref().unwrap_or(&job.spec.device);
    let starts = match job.progress.starts {
        0 => "not started yet".to_string(),
        1 => "started once".to_string(),
        starts => format!("started {starts} times"),
    };
    let mut facts = vec![("job", format!("on {device}, priority {}, {starts}", job.spec.priority))];
    if let Some(damage) = &job.damage {
        facts.push(("damaged", damage.reason.clone()));
    }
    if let Some(since) = job.progress.unknown_since {
        facts.push(("unknown", format!("since {since:.0}: Slurm does not tell")));
    }
    let queued = job.status.state == RunState::Queued;
    let waits = job.progress.waits_for.clone().filter(|_| queued);
    facts.extend(waits.map(|why| ("waits for", why)));
    if !job.spec.after.is_empty() {
        facts.push(("after", job.spec.after.join(", ")));
    }
    facts
}
