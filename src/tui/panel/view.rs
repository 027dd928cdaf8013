//! Draws the panel.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

use super::layout::{self, BESIDE, Grid, areas, grid};
use super::list::Sort;
use super::list::view::order;
use super::state::Panel;
use super::{chart, list, machine, table};
use crate::tui::keys::{ChartAction, ChartsAction, Hints, JobsAction, PanelAction, RunsAction};
use artgpt_base::text::{fit, printable};
use artgpt_runs::XAxis;

pub(crate) fn view(panel: &Panel, frame: &mut Frame) {
    frame.render_widget(Block::new().style(panel.theme.text), frame.area());
    let areas = areas(panel, frame.area());
    match areas.list {
        Some(area) if panel.table.open => table::view::draw(panel, area, frame),
        Some(area) => list::view::draw(panel, area, frame),
        None => {}
    }
    if let Some(area) = areas.gauges {
        machine::gauges::draw(panel, area, frame);
    }
    if let Some(area) = areas.charts {
        draw_charts(panel, area, frame);
    }
    let full = layout::page(frame.area());
    frame.render_widget(Paragraph::new(status(panel)), areas.status);
    for overlay in panel.overlays.iter() {
        overlay.draw(panel, full, frame);
    }
}

fn draw_charts(panel: &Panel, area: Rect, frame: &mut Frame) {
    let charts = &panel.charts;
    if charts.metrics.is_empty() {
        let text = Paragraph::new(no_charts(panel)).style(panel.theme.dim);
        return frame.render_widget(text, area);
    }
    if charts.open {
        return chart::view::draw(panel, charts.chosen, area, frame);
    }
    let Grid { columns, rows } = grid(panel);
    let first = charts.chosen / (columns * rows) * (columns * rows);
    let lines = Layout::vertical(vec![Constraint::Ratio(1, rows as u32); rows]).split(area);
    for (r, line) in lines.iter().enumerate() {
        let cells =
            Layout::horizontal(vec![Constraint::Ratio(1, columns as u32); columns]).split(*line);
        for (c, cell) in cells.iter().enumerate() {
            let metric = first + r * columns + c;
            if metric < charts.metrics.len() {
                chart::view::draw(panel, metric, *cell, frame);
            }
        }
    }
}

fn no_charts(panel: &Panel) -> String {
    let keymap = &panel.keymap;
    let text = match (panel.loaded, panel.runs.is_empty()) {
        (false, _) => "reading …",
        (true, true) => "No runs yet. New runs appear here by themselves.",
        (true, false) if !panel.charts.filter.is_empty() => {
            let key = keymap.shown(PanelAction::Back);
            return format!("No chart matches. {key} clears the filter.");
        }
        (true, false) if panel.drawn().next().is_some() => "The shown runs have no points yet.",
        (true, false) => {
            let focus = keymap.shown(PanelAction::SwitchFocus);
            let show = keymap.shown(RunsAction::ToggleShown);
            return format!("No curves to show. {focus}, then {show}, shows those of a run.");
        }
    };
    text.to_string()
}

fn status(panel: &Panel) -> Line<'static> {
    let theme = &panel.theme;
    if let Some(notice) = &panel.notice {
        return Line::styled(printable(notice), theme.accent);
    }
    if let Some(filter) = &panel.filtering {
        return filter.line(theme);
    }
    // Windows that fill the screen have their own hints.
    if panel.overlays.page().is_some() || panel.overlays.machine().is_some() || panel.table.open {
        return Line::default();
    }
    let keys = format!("  {}", hints(panel).line());
    let room = usize::from(panel.screen.width).saturating_sub(keys.chars().count());
    Line::from(vec![
        Span::styled(fit(&settings(panel).join(" · "), room), theme.accent),
        Span::styled(keys, theme.dim),
    ])
}

/// The keys that matter now.
fn hints(panel: &Panel) -> Hints<'_> {
    use PanelAction::{Back, Help, Quit, SwitchFocus};
    let hints = Hints::new(&panel.keymap);
    let hints = match panel.charts.open {
        _ if panel.screen.width < BESIDE => {
            hints.add(&[ChartAction::Enlarge], "open").add(&[SwitchFocus], "list")
        }
        true => hints
            .add(&[Back], "back")
            .add(&[ChartsAction::Left, ChartsAction::Right], "read")
            .add(&[ChartAction::ZoomIn, ChartAction::ZoomOut], "zoom")
            .add(&[ChartAction::SmoothLess, ChartAction::SmoothMore], "smooth"),
        false => {
            let hints =
                hints.add(&[ChartAction::Enlarge], "open").add(&[SwitchFocus], "list/charts");
            match panel.steers {
                true => hints
                    .add(&[JobsAction::New], "new job")
                    .add(&[JobsAction::PauseOrResume], "pause")
                    .add(&[JobsAction::Stop], "stop"),
                false => hints
                    .add(&[RunsAction::ToggleShown], "show")
                    .add(&[RunsAction::Filter], "filter"),
            }
        }
    };
    hints.add(&[Help], "keys").add(&[Quit], if panel.within { "back" } else { "quit" })
}

/// How the charts are drawn, in words; filters, which hide something, first.
fn settings(panel: &Panel) -> Vec<String> {
    let charts = &panel.charts;
    let mut words = Vec::new();
    let back = panel.keymap.shown(PanelAction::Back);
    let filter = printable(&panel.list.filter);
    words.extend((!filter.is_empty()).then(|| format!("only /{filter} ({back} clears)")));
    let filter = printable(&charts.filter);
    words.extend((!filter.is_empty()).then(|| format!("charts with {filter} ({back} clears)")));
    words.push(match charts.scale.axis {
        XAxis::Step => "by step".to_string(),
        XAxis::Relative => "by run time".to_string(),
        XAxis::Wall => "by date".to_string(),
        XAxis::Epoch => "by epoch".to_string(),
    });
    words.extend(charts.scale.log.then(|| "log".to_string()));
    let smoothing = charts.scale.smoothing;
    words.extend((smoothing > 0.0).then(|| format!("smoothed {smoothing}")));
    words.extend(charts.scale.clip.then(|| "clipped".to_string()));
    words.extend((panel.list.sort != Sort::Found).then(|| format!("sorted {}", order(panel))));
    words.push(match (charts.follow, charts.window) {
        (true, _) => "following".into(),
        (false, Some(_)) => "zoomed".into(),
        (false, None) => "all".into(),
    });
    let per_screen = grid(panel).charts();
    let pages = charts.metrics.len().div_ceil(per_screen).max(1);
    if pages > 1 && !charts.open {
        words.push(format!("page {} of {pages}", charts.chosen / per_screen + 1));
    }
    words
}
