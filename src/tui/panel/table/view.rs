//! Draws the table.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;
use ratatui::widgets::{Block, Cell};

use super::{HEADS, VALUE};
use crate::tui::components::Table;
use crate::tui::keys::{Hints, PanelAction, RunsAction, TableAction};
use crate::tui::panel::list::view::{order, signs, standing_style};
use crate::tui::panel::state::Panel;
use artgpt_base::text::{duration, fit, number, printable};
use artgpt_runs::{Run, Series};

/// Width of a run's name.
const NAME: u16 = 30;

pub(crate) fn draw(panel: &Panel, area: Rect, frame: &mut Frame) {
    let theme = &panel.theme;
    let listed = panel.listed();
    let metric = panel.metric().unwrap_or("");
    let marked = listed.iter().filter(|i| panel.runs[**i].selected).count();
    let marked = if marked > 0 { format!(" · {marked} selected") } else { String::new() };
    let only = match panel.list.filter.as_str() {
        "" => String::new(),
        filter => format!(" · only /{}", printable(filter)),
    };
    let (count, order) = (listed.len(), order(panel));
    let title = format!(" {count} runs{only}{marked} · values of {} · {order} ", printable(metric));
    let block = Block::bordered().title(fit(&title, usize::from(area.width))).title_bottom(
        Hints::new(&panel.keymap)
            .add(&[TableAction::OpenPage], "page")
            .add(&[TableAction::PreviousMetric, TableAction::NextMetric], "metric")
            .add(&[TableAction::Left, TableAction::Right], "columns")
            .add(&[RunsAction::Sort], "sort")
            .add(&[RunsAction::Filter], "filter")
            .add(&[PanelAction::Back], "back")
            .border(),
    );
    let block = block.border_style(theme.accent);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let name = NAME.min(inner.width / 3);
    let shown = shown(panel, inner.width.saturating_sub(name + 4));
    let mut columns = vec![(String::new(), 2), ("run".to_string(), name)];
    columns.extend(shown.iter().map(|at| (head(panel, *at), width(*at))));
    let cells = |place: usize| {
        let entry = &panel.runs[listed[place]];
        let run = &entry.run;
        let mut cells = vec![
            Cell::from(Span::styled(signs(entry), Style::new().fg(entry.colour))),
            Cell::from(fit(&printable(run.title().unwrap_or(&run.name)), name.into())),
        ];
        cells.extend(shown.iter().map(|column| cell(panel, run, *column, metric)));
        cells
    };
    Table { columns, selected: panel.place(), theme }.draw(listed.len(), cells, inner, frame);
}

fn head(panel: &Panel, column: usize) -> String {
    match HEADS.get(column) {
        Some((name, _)) => name.to_string(),
        None => tail(&printable(&panel.table.keys[column - HEADS.len()])),
    }
}

fn width(column: usize) -> u16 {
    HEADS.get(column).map_or(VALUE, |(_, width)| *width)
}

/// The columns that fit, from the scroll position on.
fn shown(panel: &Panel, room: u16) -> Vec<usize> {
    let mut used = 0;
    let fits = |at: &usize| {
        used += width(*at) + 1;
        used <= room
    };
    let columns = panel.table.columns();
    (panel.table.column.min(columns - 1)..columns).take_while(fits).collect()
}

fn cell(panel: &Panel, run: &Run, column: usize, metric: &str) -> Cell<'static> {
    let theme = &panel.theme;
    let value = |of: &dyn Fn(&Series) -> Option<f64>| {
        Cell::from(run.curves.get(metric).and_then(of).map_or(String::new(), number))
    };
    let extremes = |series: &Series| series.extremes(0..series.len());
    // Other values than finite ones have no part in these.
    let some_are_not = run.curves.get(metric).is_some_and(|series| series.not_finite() > 0);
    let extreme = |of: &dyn Fn(&Series) -> Option<f64>| {
        let value = run.curves.get(metric).and_then(of).map(number);
        let sign = if some_are_not { "*" } else { "" };
        Cell::from(value.map_or(String::new(), |value| value + sign))
    };
    match column {
        0 => {
            let standing = run.standing(panel.now);
            Cell::from(Span::styled(standing.word(), standing_style(standing, theme)))
        }
        1 => Cell::from(run.steps()),
        2 => Cell::from(run.left(panel.now).map_or(String::new(), duration)),
        3 => value(&|series| Some(series.last()?.value)),
        4 => extreme(&|series| Some(extremes(series)?.min)),
        5 => extreme(&|series| Some(extremes(series)?.max)),
        6 => {
            let note = fit(&printable(&panel.note_of(run)), VALUE.into());
            Cell::from(Span::styled(note, theme.dim))
        }
        key => {
            let told = panel.table.keys.get(key - HEADS.len()).and_then(|key| run.config.get(key));
            Cell::from(fit(&printable(told.map_or("-", String::as_str)), VALUE.into()))
        }
    }
}

/// The end of a long key, which distinguishes it from its neighbours.
fn tail(key: &str) -> String {
    let room = usize::from(VALUE);
    match key.chars().count() {
        short if short <= room => key.to_string(),
        long => "…".chars().chain(key.chars().skip(long + 1 - room)).collect(),
    }
}
