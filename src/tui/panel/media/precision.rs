//! Draws a precision-recall curve.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, Paragraph};

use crate::tui::panel::state::Panel;
use artgpt_runs::Cut;

/// Thresholds listed beside the curve.
const LISTED: usize = 11;
/// Width of that list.
const NUMBERS: u16 = 32;

pub(crate) fn draw(panel: &Panel, cuts: &[Cut], area: Rect, frame: &mut Frame) {
    let theme = &panel.theme;
    let [plot, side] =
        Layout::horizontal([Constraint::Min(0), Constraint::Length(NUMBERS)]).areas(area);
    let points: Vec<(f64, f64)> = cuts
        .iter()
        // Without positive predictions there is no precision.
        .filter(|cut| cut.recall > 0.0 || cut.precision > 0.0)
        .map(|cut| (cut.recall, cut.precision))
        .filter(|(x, y)| x.is_finite() && y.is_finite())
        .collect();
    if points.is_empty() {
        return frame.render_widget(Paragraph::new("no values").style(theme.dim), area);
    }
    let set = Dataset::default()
        .marker(Marker::Braille)
        .graph_type(GraphType::Line)
        .style(theme.accent)
        .data(&points);
    let axis = |name: &'static str| {
        let axis = Axis::default().title(name).bounds([0.0, 1.0]).style(theme.dim);
        axis.labels(["0", "0.5", "1"])
    };
    let chart = Chart::new(vec![set]).x_axis(axis("recall")).y_axis(axis("precision"));
    frame.render_widget(chart.style(Style::new()), plot);
    let mut lines = vec![Line::styled("  threshold  precision   recall", theme.dim)];
    let last = cuts.len() - 1;
    for at in 0..LISTED.min(cuts.len()) {
        let cut = cuts[at * last / (LISTED - 1).min(last).max(1)];
        let text = format!("  {:9.2} {:10.3} {:8.3}", cut.threshold, cut.precision, cut.recall);
        lines.push(Line::styled(text, theme.text));
    }
    frame.render_widget(Paragraph::new(lines), side);
}
