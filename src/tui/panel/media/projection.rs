//! Draws embeddings in the plane of their first two principal components.

use std::collections::HashMap;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::canvas::{Canvas, Points};
use ratatui::widgets::{Paragraph, Wrap};

use crate::tui::panel::state::{COLOURS, Panel};
use artgpt_base::text::{fit, printable};
use artgpt_runs::media::Projection;

/// Width of the legend.
const LABELS: u16 = 26;

pub(crate) fn draw(panel: &Panel, plane: &Projection, area: Rect, frame: &mut Frame) {
    let theme = &panel.theme;
    let [plot, foot] = Layout::vertical([Constraint::Min(0), Constraint::Length(2)]).areas(area);
    let groups = groups(plane);
    let wide = if groups.len() > 1 { LABELS } else { 0 };
    let [plot, side] =
        Layout::horizontal([Constraint::Min(0), Constraint::Length(wide)]).areas(plot);
    let bounds = |of: fn(&(f64, f64)) -> f64| {
        let all = plane.points.iter().map(of);
        let (low, high) = all.fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
        let margin = (high - low).max(1e-9) * 0.03;
        [low - margin, high + margin]
    };
    let canvas = Canvas::default()
        .marker(Marker::Braille)
        .x_bounds(bounds(|p| p.0))
        .y_bounds(bounds(|p| p.1))
        .paint(|context| {
            for group in groups.iter().rev() {
                context.draw(&Points { coords: &group.points, color: group.colour });
            }
        });
    frame.render_widget(canvas, plot);
    let lines = groups.iter().map(|group| {
        let name = fit(&printable(&group.name), usize::from(LABELS) - 10);
        Line::from(vec![
            Span::styled(" ● ", Style::new().fg(group.colour)),
            Span::styled(format!("{name} "), theme.text),
            Span::styled(group.points.len().to_string(), theme.dim),
        ])
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), side);
    let shown = match plane.points.len() == plane.count {
        true => plane.count.to_string(),
        false => format!("{} of {}", plane.points.len(), plane.count),
    };
    let told = format!(
        "{shown} vectors of {} numbers; principal components 1 and 2 explain {:.0} and {:.0} % of the variance",
        plane.dimensions,
        plane.variance.0 * 100.0,
        plane.variance.1 * 100.0
    );
    let told = Paragraph::new(told).wrap(Wrap { trim: true });
    frame.render_widget(told.style(theme.dim), foot);
}

struct Group {
    name: String,
    colour: Color,
    points: Vec<(f64, f64)>,
}

/// Points by label, most frequent first; labels beyond the number of colours are combined.
fn groups(plane: &Projection) -> Vec<Group> {
    let mut by_label: HashMap<&str, Vec<(f64, f64)>> = HashMap::new();
    for (at, point) in plane.points.iter().enumerate() {
        let label = plane.labels.get(at).map_or("", String::as_str);
        by_label.entry(label).or_default().push(*point);
    }
    let mut all: Vec<(&str, Vec<(f64, f64)>)> = by_label.into_iter().collect();
    all.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then(a.0.cmp(b.0)));
    let others = all.split_off(all.len().min(COLOURS.len() - 1));
    let coloured = all.into_iter().zip(COLOURS);
    let mut groups: Vec<Group> = coloured
        .map(|((name, points), colour)| Group { name: name.into(), colour, points })
        .collect();
    if !others.is_empty() {
        let name = format!("{} others", others.len());
        let points = others.into_iter().flat_map(|(_, points)| points).collect();
        groups.push(Group { name, colour: Color::Gray, points });
    }
    groups
}
