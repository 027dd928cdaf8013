//! Draws the list of runs.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Wrap};
use unicode_width::UnicodeWidthStr;

use super::Sort;
use crate::tui::components::draw_list;
use crate::tui::keys::PanelAction;
use crate::tui::panel::state::{Focus, Listed, Panel};
use crate::tui::theme::Theme;
use artgpt_base::text::{duration, fit, number, printable};
use artgpt_rundir::RunState;
use artgpt_runs::Standing;

/// From this width on a row has room for the last value of the selected chart.
const WITH_VALUE: u16 = 60;

/// Signs for pinned, shown and selected.
pub(crate) fn signs(entry: &Listed) -> String {
    let sign = match (entry.pinned, entry.shown) {
        (true, true) => "◆",
        (true, false) => "◇",
        (false, true) => "●",
        (false, false) => "○",
    };
    format!("{sign}{}", if entry.selected { "*" } else { " " })
}

pub(crate) fn standing_style(standing: Standing, theme: &Theme) -> Style {
    match standing {
        Standing::Told(RunState::Failed) | Standing::Lost => theme.error,
        standing if standing.runs() => theme.success,
        _ => theme.dim,
    }
}

/// The order of the list in words.
pub(crate) fn order(panel: &Panel) -> String {
    let metric = printable(panel.metric().unwrap_or("the chart"));
    match panel.list.sort {
        Sort::Found => "by path".to_string(),
        Sort::State => "by state".to_string(),
        Sort::Last => format!("by last {metric}"),
        Sort::Best => format!("by min {metric}"),
        Sort::Greatest => format!("by max {metric}, descending"),
    }
}

pub(crate) fn draw(panel: &Panel, area: Rect, frame: &mut Frame) {
    let theme = &panel.theme;
    let listed = panel.listed();
    let focused = panel.focus == Focus::List;
    let block = Block::bordered().title(title(panel)).border_style(if focused {
        theme.accent
    } else {
        theme.border
    });
    let inner = block.inner(area);
    let rows = listed.iter().map(|i| row(panel, *i, inner.width)).collect::<Vec<_>>();
    let block = match panel.chosen() {
        Some(i) => {
            let run = panel.run(i);
            let note = Some(panel.note_of(run)).filter(|note| !note.is_empty());
            let note = note.map_or(String::new(), |note| format!(" · {note}"));
            let room = usize::from(area.width).saturating_sub(4);
            let under = fit(&printable(&format!("{}{note}", run.name)), room);
            block.title_bottom(format!(" {under} "))
        }
        None => block,
    };
    frame.render_widget(block, area);
    let highlight = if focused { theme.selected } else { Style::new().bold() };
    draw_list(rows, Some(panel.place()), highlight, inner, frame);
    if listed.is_empty() && panel.runs.iter().any(|listed| !listed.run.gone) {
        let key = panel.keymap.shown(PanelAction::Back);
        let text = format!("no run matches; {key} clears the filter");
        let text = Paragraph::new(text).style(theme.dim);
        frame.render_widget(text.wrap(Wrap { trim: false }), inner);
    }
}

fn title(panel: &Panel) -> String {
    let listed = panel.listed();
    let shown = panel.drawn().count();
    let marked = match listed.iter().filter(|i| panel.runs[**i].selected).count() {
        0 => String::new(),
        some => format!("· {some} selected "),
    };
    match panel.list.filter.is_empty() {
        true => format!(" Runs {} · {shown} shown {marked}", listed.len()),
        false => {
            let all = panel.runs.iter().filter(|listed| !listed.run.gone).count();
            format!(" Runs {} of {all} · {shown} shown {marked}", listed.len())
        }
    }
}

/// Signs, name and tags, then value, steps and state at the right.
fn row(panel: &Panel, index: usize, width: u16) -> Line<'static> {
    let theme = &panel.theme;
    let entry = &panel.runs[index];
    let run = panel.run(index);
    let standing = run.standing(panel.now);
    let steps = run.steps();
    let word = standing.word();
    let wide = width >= WITH_VALUE;
    let value = panel
        .metric()
        .filter(|_| wide)
        .and_then(|metric| Some(format!("{} ", number(run.curves.get(metric)?.last()?.value))));
    let left = run.left(panel.now).filter(|_| wide);
    let left = left.map_or(String::new(), |left| format!("{} left  ", duration(left)));
    let value = left + &value.unwrap_or_default();
    let right = format!("{value}{steps} {word}");
    let room = usize::from(width).saturating_sub(right.chars().count() + 4);
    let note = panel.note_of(run);
    let tags = note.split_whitespace().filter(|word| word.starts_with('#'));
    let title = run.title().unwrap_or(&run.name);
    let name = std::iter::once(title).chain(tags).collect::<Vec<_>>().join(" ");
    let name = fit(&printable(&name), room);
    let pad = room.saturating_sub(name.width());
    Line::from(vec![
        Span::styled(signs(entry), Style::new().fg(entry.colour)),
        Span::styled(format!("{name}{:pad$} ", ""), theme.text),
        Span::styled(value, theme.text),
        Span::styled(steps + " ", theme.dim),
        Span::styled(word, standing_style(standing, theme)),
    ])
}
