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
    let parts = parts(cuts);
    if parts.is_empty() {
        return frame.render_widget(Paragraph::new("no values").style(theme.dim), area);
    }
    let sets = parts.iter().map(|points| {
        let kind = if points.len() == 1 { GraphType::Scatter } else { GraphType::Line };
        let set = Dataset::default().marker(Marker::Braille).graph_type(kind);
        set.style(theme.accent).data(points)
    });
    let axis = |name: &'static str| {
        let axis = Axis::default().title(name).bounds([0.0, 1.0]).style(theme.dim);
        axis.labels(["0", "0.5", "1"])
    };
    let chart = Chart::new(sets.collect()).x_axis(axis("recall")).y_axis(axis("precision"));
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

/// The connected parts of the curve: values that are not finite interrupt it.
fn parts(cuts: &[Cut]) -> Vec<Vec<(f64, f64)>> {
    // Without positive predictions there is no precision.
    let is_empty = |cut: &&Cut| cut.recall == 0.0 && cut.precision == 0.0;
    let drawn: Vec<&Cut> = cuts.iter().filter(|cut| !is_empty(cut)).collect();
    let finite = |cut: &&Cut| cut.recall.is_finite() && cut.precision.is_finite();
    let parts = drawn.split(|cut| !finite(cut)).filter(|part| !part.is_empty());
    parts.map(|part| part.iter().map(|cut| (cut.recall, cut.precision)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_are_not_finite_interrupt_the_curve() {
        let cut = |recall, precision| Cut { threshold: 0.5, precision, recall };
        let cuts =
            [cut(1.0, 0.5), cut(0.8, f64::NAN), cut(0.5, 0.75), cut(0.25, 1.0), cut(0.0, 0.0)];
        assert_eq!(parts(&cuts), [vec![(1.0, 0.5)], vec![(0.5, 0.75), (0.25, 1.0)]]);
    }
}
