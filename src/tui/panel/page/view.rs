//! Draws the page of a run.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::state::{Page, Tab, tabs};
use super::{adapters, differences, events, extent, graph, overview, parallel, samples};
use crate::tui::components::full_window;
use crate::tui::keys::{Hints, PageAction};
use crate::tui::panel::state::Panel;
use crate::tui::panel::{layout, media};
use crate::tui::theme::Theme;
use artgpt_base::text::{fit, printable};
use artgpt_runs::Run;

pub(crate) fn draw(panel: &Panel, page: &Page, area: Rect, frame: &mut Frame) {
    let Some(run) = panel.page_run() else { return };
    let theme = &panel.theme;
    let title = match run.title() {
        Some(title) => format!("{title} · {}", run.name),
        None => run.name.clone(),
    };
    let title = fit(&printable(&title), usize::from(area.width) * 2 / 3);
    let inner = full_window(&title, hints(panel, page.tab), theme, area, frame);
    let head = Rect { height: inner.height.min(1), ..inner };
    let bar = tab_bar(&tabs(run, &page.data), page.tab, head.width, theme);
    frame.render_widget(Paragraph::new(bar), head);
    let body = layout::page_body(area);
    match page.tab {
        tab if tab.has_names() => media::view::draw(panel, run, page, body, frame),
        Tab::Samples => samples::draw(panel, page, body, frame),
        Tab::Parallel => parallel::draw(panel, page, body, frame),
        Tab::Graph => {
            let lines = graph::lines(run, page, usize::from(body.height), theme);
            frame.render_widget(Paragraph::new(lines), body);
        }
        _ => draw_lines(panel, run, page, body, frame),
    }
}

fn hints(panel: &Panel, tab: Tab) -> String {
    use PageAction::{Close, Down, Earlier, Later, NextTab, PreviousTab, Save, Up};
    let hints = Hints::new(&panel.keymap).add(&[PreviousTab, NextTab], "tabs");
    let (arrows, brackets) = match tab {
        tab if tab.has_names() => ("names", "steps"),
        Tab::Differences => ("scroll", "columns"),
        Tab::Parallel => ("", "axes"),
        Tab::Graph => ("scroll", "levels"),
        _ => ("scroll", ""),
    };
    let hints = if arrows.is_empty() { hints } else { hints.add(&[Up, Down], arrows) };
    let hints = if brackets.is_empty() { hints } else { hints.add(&[Earlier, Later], brackets) };
    let hints = if tab.has_names() { hints.add(&[Save], "to a file") } else { hints };
    hints.add(&[Close], "back").border()
}

/// A tab that is a list of lines.
fn draw_lines(panel: &Panel, run: &Run, page: &Page, body: Rect, frame: &mut Frame) {
    let theme = &panel.theme;
    let (lines, empty) = match page.tab {
        Tab::Overview => (overview::lines(panel, run, page), ""),
        Tab::Config => (config(page, theme), "no readable configuration"),
        Tab::Differences => (differences::lines(panel, run, page), ""),
        Tab::Log => (extent::log(run, page).into_iter().map(Line::from).collect(), "no log"),
        Tab::Events => {
            (events::lines(run, &panel.zone, theme), "no checkpoints, warnings or rollbacks yet")
        }
        Tab::Adapters => (adapters::lines(page, theme), ""),
        _ => (Vec::new(), ""),
    };
    if lines.is_empty() {
        return frame.render_widget(Paragraph::new(empty), body);
    }
    let room = usize::from(body.height);
    let hidden = lines.len().saturating_sub(room);
    // A log shows its end first.
    let skipped = match page.tab {
        Tab::Log | Tab::Events => hidden.saturating_sub(page.scroll),
        _ => page.scroll.min(hidden),
    };
    let shown: Vec<Line> = lines.into_iter().skip(skipped).take(room).collect();
    frame.render_widget(Paragraph::new(shown), body);
}

/// The names of the tabs, scrolled so that the open one is visible.
fn tab_bar(tabs: &[Tab], open: Tab, width: u16, theme: &Theme) -> Line<'static> {
    let width = usize::from(width);
    let at = tabs.iter().position(|tab| *tab == open).unwrap_or(0);
    let wide = |tabs: &[Tab]| tabs.iter().map(|tab| tab.name().len() + 2).sum::<usize>();
    // A sign on either side stands for hidden tabs.
    let first = (0..=at).find(|first| wide(&tabs[*first..=at]) + 4 <= width).unwrap_or(at);
    let mut spans = Vec::new();
    spans.extend((first > 0).then(|| Span::styled("‹ ", theme.dim)));
    let mut used = 2;
    for (i, tab) in tabs.iter().enumerate().skip(first) {
        let style = if *tab == open { theme.selected } else { theme.dim };
        used += tab.name().len() + 2;
        let rest = if i + 1 < tabs.len() { 2 } else { 0 };
        if used + rest > width && i > at {
            spans.push(Span::styled(" ›", theme.dim));
            break;
        }
        spans.push(Span::styled(format!(" {} ", tab.name()), style));
    }
    Line::from(spans)
}

fn config(page: &Page, theme: &Theme) -> Vec<Line<'static>> {
    let lines = page.data.settings.iter().map(|(key, value)| {
        Line::from(vec![
            Span::styled(format!("{:<32} ", printable(key)), theme.dim),
            Span::styled(printable(value), theme.text),
        ])
    });
    lines.collect()
}
