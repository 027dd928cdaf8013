//! Draws a chart: one metric of all shown runs.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, Paragraph, Wrap};

use super::drawing::{Drawing, Line as DrawnLine, LineKind};
use super::state::value_at;
use super::trace::GapKind;
use super::words::{digits, position};
use crate::tui::panel::layout::chart_parts;
use crate::tui::panel::state::{Focus, Panel};
use crate::tui::theme::Theme;
use artgpt_base::text::{fit, printable};
use artgpt_rundir::MarkKind;
use artgpt_runs::{Series, XAxis};

pub(crate) fn draw(panel: &Panel, metric: usize, area: Rect, frame: &mut Frame) {
    let theme = &panel.theme;
    let Some(name) = panel.charts.metrics.get(metric) else { return };
    let chosen =
        panel.charts.open || (panel.focus == Focus::Charts && metric == panel.charts.chosen);
    let names = panel.charted(name).collect::<Vec<_>>().join(" + ");
    let title = format!(" {} ", fit(&printable(&names), usize::from(area.width).saturating_sub(4)));
    let block = Block::bordered()
        .title(Span::styled(title, if chosen { theme.accent } else { theme.text }))
        .border_style(if chosen { theme.accent } else { theme.border });
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let (plot, legend) = chart_parts(panel, name, inner);
    let Some(drawing) = Drawing::new(panel, name, usize::from(plot.width) * 2) else {
        let text = Paragraph::new(nothing(panel, name)).style(theme.dim);
        return frame.render_widget(text.wrap(Wrap { trim: true }), inner);
    };
    if panel.as_picture() {
        // The picture is printed over these cells.
        skip(plot, frame);
    } else {
        draw_cells(panel, &drawing, plot, frame);
    }
    if let Some(area) = legend {
        frame.render_widget(Paragraph::new(values(panel, name, area)), area);
    }
}

/// Why a chart is empty.
fn nothing(panel: &Panel, metric: &str) -> String {
    let series = panel.drawn().filter_map(|i| panel.run(i).curves.get(metric));
    let not_finite: usize = series.map(Series::not_finite).sum();
    let kind = if panel.charts.scale.log { "positive" } else { "finite" };
    match not_finite {
        0 if !panel.charts.scale.log => "no values in this range".into(),
        0 => "no positive values in this range".into(),
        some => format!("no {kind} values in this range; {some} values are NaN or infinite"),
    }
}

fn draw_cells(panel: &Panel, drawing: &Drawing, plot: Rect, frame: &mut Frame) {
    let theme = &panel.theme;
    let Drawing { low, high, bottom, top, .. } = *drawing;
    let gaps = gaps(drawing);
    let mut sets: Vec<Dataset> =
        drawing.lines.iter().flat_map(|line| datasets(line, theme)).collect();
    sets.extend(gaps.iter().map(|gap| {
        let set = Dataset::default().marker(Marker::Custom(gap.sign)).graph_type(GraphType::Line);
        set.style(Style::new().fg(gap.colour)).data(&gap.ends)
    }));
    // Checkpoints at the bottom, warnings at the top.
    let at = |wanted: bool, y: f64| -> Vec<(f64, f64)> {
        let marks = drawing.marks.iter().filter(|(_, k)| (*k == MarkKind::Checkpoint) == wanted);
        marks.map(|(x, _)| (*x, y)).collect()
    };
    let (checkpoints, warnings) = (at(true, bottom), at(false, top));
    for (points, style) in [(&checkpoints, theme.dim), (&warnings, theme.error)] {
        let set = Dataset::default().marker(Marker::Dot).graph_type(GraphType::Scatter);
        sets.push(set.style(style).data(points));
    }
    let reader =
        panel.charts.reading.filter(|_| panel.charts.open).map(|x| [(x, bottom), (x, top)]);
    if let Some(reader) = &reader {
        let line = Dataset::default().marker(Marker::Braille).graph_type(GraphType::Line);
        sets.push(line.style(theme.text).data(reader));
    }
    let heights =
        [bottom, (bottom + top) / 2.0, top].map(|y| drawing.label(y, (top - bottom) / 4.0));
    let places = [low, (low + high) / 2.0, high]
        .map(|x| position(x, panel.charts.scale.axis, high - low, &panel.zone));
    let chart = Chart::new(sets)
        .x_axis(Axis::default().style(theme.dim).bounds([low, high]).labels(places))
        .y_axis(Axis::default().style(theme.dim).bounds([bottom, top]).labels(heights));
    frame.render_widget(chart, plot);
}

/// The connected parts of a line.
fn datasets<'a>(line: &'a DrawnLine, theme: &Theme) -> impl Iterator<Item = Dataset<'a>> {
    let style = match line.kind {
        LineKind::Raw => theme.dim,
        LineKind::Curve | LineKind::HeldOut => Style::new().fg(line.colour),
    };
    // Held-out values are sparse and must not look like the curve.
    let marker = if line.kind == LineKind::HeldOut { Marker::Dot } else { Marker::Braille };
    line.segments.iter().map(move |points| {
        // A single point is not a line.
        let kind = if points.len() == 1 { GraphType::Scatter } else { GraphType::Line };
        Dataset::default().marker(marker).graph_type(kind).style(style).data(points)
    })
}

/// A line of signs.
struct Dash {
    sign: char,
    colour: Color,
    ends: [(f64, f64); 2],
}

/// Marks where values are not finite: at the edge to which they lie, NaN at the bottom.
fn gaps(drawing: &Drawing) -> Vec<Dash> {
    let gaps = drawing.lines.iter().flat_map(|line| line.gaps.iter().map(|gap| (line.colour, gap)));
    gaps.map(|(colour, gap)| {
        let (sign, y) = match gap.kind {
            GapKind::Nan => ('×', drawing.bottom),
            GapKind::Below => ('▼', drawing.bottom),
            GapKind::Above => ('▲', drawing.top),
        };
        Dash { sign, colour, ends: [(gap.from, y), (gap.to, y)] }
    })
    .collect()
}

/// Marks cells that a picture covers, which the terminal keeps as they are.
pub(crate) fn skip(area: Rect, frame: &mut Frame) {
    let buffer = frame.buffer_mut();
    for y in area.top()..area.bottom() {
        for x in area.left()..area.right() {
            if let Some(cell) = buffer.cell_mut((x, y)) {
                cell.set_diff_option(ratatui::buffer::CellDiffOption::Skip);
            }
        }
    }
}

/// The legend: each run with its value at the reading cursor, or its last one.
fn values(panel: &Panel, metric: &str, area: Rect) -> Vec<Line<'static>> {
    let room = usize::from(area.height);
    let has = |i: &usize| panel.run(*i).curves.get(metric).is_some();
    let all: Vec<usize> = panel.drawn().filter(has).collect();
    let named = if all.len() > room { room.saturating_sub(1) } else { room };
    let lines = all.iter().take(named).map(|i| value_line(panel, *i, metric, area.width));
    let mut lines: Vec<Line> = lines.collect();
    if all.len() > lines.len() {
        let text = format!("and {} more", all.len() - lines.len());
        lines.push(Line::styled(text, panel.theme.dim));
    }
    lines
}

fn value_line(panel: &Panel, index: usize, metric: &str, width: u16) -> Line<'static> {
    let theme = &panel.theme;
    let run = panel.run(index);
    let clock = run.clock(panel.charts.scale.axis);
    let point = |metric: &str| {
        let (series, clock) = run.curves.get(metric).zip(clock)?;
        match panel.charts.reading {
            Some(x) => value_at(series, clock, x),
            None => series.last(),
        }
    };
    let value = match point(metric) {
        Some(p) if p.wall.is_finite() => {
            let seconds = p.wall - run.curves.began().unwrap_or(0.0);
            let since = position(seconds, XAxis::Relative, 1.0, &panel.zone);
            format!("{} at step {}, {since}", digits(p.value), p.step)
        }
        Some(p) => format!("{} at step {}", digits(p.value), p.step),
        None => "-".into(),
    };
    let held_out = panel.charted(metric).skip(1).filter_map(|partner| {
        let point = point(partner)?;
        Some(format!(" · held out {} at {}", digits(point.value), point.step))
    });
    let value = value + &held_out.collect::<String>();
    let name = run.title().unwrap_or(&run.name);
    let name = fit(&printable(name), usize::from(width).saturating_sub(value.len() + 4));
    Line::from(vec![
        Span::styled("━ ", Style::new().fg(panel.runs[index].colour).bold()),
        Span::styled(format!("{name}  "), theme.dim),
        Span::styled(value, theme.text),
    ])
}
