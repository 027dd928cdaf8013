//! The parallel tab: parallel coordinates with an axis for each configuration key in which the shown
//! runs differ, and the last value of the metric as the last axis.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Color;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use ratatui::widgets::canvas::{Canvas, Line as Stroke};

use unicode_width::UnicodeWidthStr;

use super::state::Page;
use crate::tui::panel::state::Panel;
use artgpt_base::text::{fit, number, printable};

/// Minimum distance of two axes, in columns.
const APART: u16 = 18;
/// An axis whose maximum is more than this many times its minimum is logarithmic.
const BROAD: f64 = 50.0;

/// The position of each run on one axis: 0 is the bottom, 1 the top.
#[derive(Debug, Clone, PartialEq)]
struct Axis {
    name: String,
    bottom: String,
    top: String,
    places: Vec<Option<f64>>,
}

impl Axis {
    fn of(name: &str, values: &[Option<String>]) -> Self {
        let told = |value: &Option<String>| value.as_ref().map(|v| v.parse::<f64>());
        let numbers: Vec<_> = values.iter().map(told).collect();
        let all_numbers = numbers.iter().flatten().all(|v| v.as_ref().is_ok_and(|v| v.is_finite()));
        match all_numbers {
            true => {
                let numbers: Vec<Option<f64>> =
                    numbers.into_iter().map(|v| v.and_then(Result::ok)).collect();
                Self::of_numbers(name, &numbers)
            }
            false => Self::of_words(name, values),
        }
    }

    fn of_numbers(name: &str, values: &[Option<f64>]) -> Self {
        let known = || values.iter().flatten().copied().filter(|v| v.is_finite());
        let (low, high) = known().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
        if low > high {
            return Self {
                name: name.into(),
                bottom: "-".into(),
                top: "-".into(),
                places: vec![None; values.len()],
            };
        }
        let log = low > 0.0 && high / low > BROAD;
        let height = |v: f64| if log { v.ln() } else { v };
        let (from, to) = (height(low), height(high));
        let place = |v: &Option<f64>| {
            let v = v.filter(|v| v.is_finite())?;
            // Equal values are centred.
            Some(if to > from { (height(v) - from) / (to - from) } else { 0.5 })
        };
        let name = if log { format!("{name} (log)") } else { name.to_string() };
        let places = values.iter().map(place).collect();
        Self { name, bottom: number(low), top: number(high), places }
    }

    /// In alphabetical order, evenly spaced.
    fn of_words(name: &str, values: &[Option<String>]) -> Self {
        let mut words: Vec<&String> = values.iter().flatten().collect();
        words.sort();
        words.dedup();
        let last = words.len().saturating_sub(1).max(1) as f64;
        let place = |value: &Option<String>| {
            let at = words.binary_search(&value.as_ref()?).ok()?;
            Some(if words.len() == 1 { 0.5 } else { at as f64 / last })
        };
        let end = |word: Option<&&String>| word.map_or(String::new(), |word| word.to_string());
        Self {
            name: name.into(),
            bottom: end(words.first()),
            top: end(words.last()),
            places: values.iter().map(place).collect(),
        }
    }
}

/// Axes for configuration keys that fit, besides the one for the result.
fn visible_axes(width: u16) -> usize {
    usize::from((width / APART).max(2)) - 1
}

/// How many axes do not fit.
pub(crate) fn hidden_axes(page: &Page, width: u16) -> usize {
    page.data.differences.len().saturating_sub(visible_axes(width))
}

pub(crate) fn draw(panel: &Panel, page: &Page, area: Rect, frame: &mut Frame) {
    let theme = &panel.theme;
    let runs = compared(panel, page);
    let axes = match axes(panel, page, &runs, area.width) {
        Ok(axes) => axes,
        Err(why) => return frame.render_widget(Paragraph::new(why).style(theme.dim), area),
    };
    let [names, top, plot, bottom, legend] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(4),
        Constraint::Length(1),
        Constraint::Length((runs.len() as u16).min(area.height / 4)),
    ])
    .areas(area);
    let apart = usize::from(area.width.saturating_sub(APART)) / (axes.len() - 1).max(1);
    let row = |of: &dyn Fn(&Axis) -> String| -> String {
        let cells = axes.iter().map(|axis| {
            let width = apart.min(usize::from(APART) * 2).saturating_sub(1);
            let text = fit(&printable(&of(axis)), width);
            let pad = apart.saturating_sub(text.width());
            format!("{text}{:pad$}", "")
        });
        cells.collect()
    };
    let name = |axis: &Axis| axis.name.clone();
    frame.render_widget(Paragraph::new(row(&name)).style(theme.accent), names);
    frame.render_widget(Paragraph::new(row(&|axis| axis.top.clone())).style(theme.dim), top);
    frame.render_widget(Paragraph::new(row(&|axis| axis.bottom.clone())).style(theme.dim), bottom);
    let x = |axis: usize| (axis * apart) as f64 + 0.5;
    let grey = theme.dim.fg.unwrap_or(Color::Gray);
    let canvas = Canvas::default()
        .marker(Marker::Braille)
        .x_bounds([0.0, f64::from(plot.width)])
        .y_bounds([-0.02, 1.02])
        .paint(|context| {
            for axis in 0..axes.len() {
                let (x1, x2) = (x(axis), x(axis));
                context.draw(&Stroke { x1, y1: 0.0, x2, y2: 1.0, color: grey });
            }
            for (at, run) in runs.iter().enumerate().rev() {
                let color = panel.runs[*run].colour;
                for (i, pair) in axes.windows(2).enumerate() {
                    // A run that lacks a value has a gap there.
                    if let (Some(y1), Some(y2)) = (pair[0].places[at], pair[1].places[at]) {
                        context.draw(&Stroke { x1: x(i), y1, x2: x(i + 1), y2, color });
                    }
                }
            }
        });
    frame.render_widget(canvas, plot);
    frame.render_widget(Paragraph::new(names_of(panel, &runs, legend)), legend);
}

/// The visible axes, or why there are none.
fn axes(panel: &Panel, page: &Page, runs: &[usize], width: u16) -> Result<Vec<Axis>, &'static str> {
    if runs.len() < 2 {
        return Err("show other runs (Space in the list) to compare with them");
    }
    // A run was shown or hidden a moment ago.
    if !runs.iter().map(|i| &panel.run(*i).path).eq(&page.data.compared) {
        return Err("reading …");
    }
    let keys = page.data.differences.iter();
    let first = page.back.min(hidden_axes(page, width));
    let keys = keys.skip(first).take(visible_axes(width));
    let mut axes: Vec<Axis> = keys.map(|(key, values)| Axis::of(key, values)).collect();
    if let Some(metric) = panel.metric() {
        let value = |i: &usize| Some(panel.run(*i).curves.get(metric)?.last()?.value);
        let last: Vec<Option<f64>> = runs.iter().map(value).collect();
        axes.push(Axis::of_numbers(&format!("{metric}, last"), &last));
    }
    if axes.len() < 2 { Err("the shown runs do not differ") } else { Ok(axes) }
}

/// The legend.
fn names_of(panel: &Panel, runs: &[usize], area: Rect) -> Vec<Line<'static>> {
    let theme = &panel.theme;
    let rows = usize::from(area.height);
    let named = if runs.len() > rows { rows.saturating_sub(1) } else { rows };
    let lines = runs.iter().take(named).map(|i| {
        let run = panel.run(*i);
        let name = printable(run.title().unwrap_or(&run.name));
        Line::from(vec![Span::styled("● ", panel.runs[*i].colour), Span::styled(name, theme.text)])
    });
    let more = (runs.len() > named).then(|| {
        Line::styled(format!("and {} more (o shows one alone)", runs.len() - named), theme.dim)
    });
    lines.chain(more).collect()
}

/// The page's run and the other shown ones, in the order in which their configurations are read.
fn compared(panel: &Panel, page: &Page) -> Vec<usize> {
    panel.index_of(&page.run).into_iter().chain(panel.page_others()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_stand_on_an_axis_by_number_by_magnitude_or_by_word() {
        let told = |all: &[&str]| -> Vec<Option<String>> {
            all.iter().map(|v| (!v.is_empty()).then(|| v.to_string())).collect()
        };
        let axis = Axis::of("batch", &told(&["8", "16", "", "12"]));
        assert_eq!(axis.places, [Some(0.0), Some(1.0), None, Some(0.5)]);
        let axis = Axis::of("lr", &told(&["1e-5", "1e-3", "1e-4"]));
        assert_eq!(axis.name, "lr (log)");
        assert!((axis.places[2].expect("a place") - 0.5).abs() < 1e-9);
        let axis = Axis::of("method", &told(&["lora", "adapter", "prefix"]));
        assert_eq!(axis.places, [Some(0.5), Some(0.0), Some(1.0)]);
        assert_eq!((axis.bottom.as_str(), axis.top.as_str()), ("adapter", "prefix"));
        assert_eq!(Axis::of("same", &told(&["1", "1"])).places, [Some(0.5); 2]);
        assert_eq!(Axis::of_numbers("none", &[None, Some(f64::NAN)]).places, [None, None]);
    }
}
