//! One metric of all runs that are shown.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, Paragraph};

use crate::tui::board::drawing::{Drawing, Kind};
use crate::tui::board::state::{Board, Focus, value_at};
use artgpt_base::text::{fit, printable};
use artgpt_rundir::MarkKind;
use artgpt_runs::XAxis;

pub fn draw(board: &Board, metric: usize, area: Rect, frame: &mut Frame) {
    let theme = &board.theme;
    let Some(name) = board.metrics.get(metric) else { return };
    let chosen = board.open || (board.focus == Focus::Charts && metric == board.chart);
    let names = board.charted(name).collect::<Vec<_>>().join(" + ");
    let title = format!(" {} ", fit(&printable(&names), usize::from(area.width).saturating_sub(4)));
    let block = Block::bordered()
        .title(Span::styled(title, if chosen { theme.accent } else { theme.text }))
        .border_style(if chosen { theme.accent } else { theme.border });
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let (plot, legend) = parts(board, name, inner);
    let Some(drawing) = Drawing::of(board, name, usize::from(plot.width) * 2) else {
        let text = match board.scale.log {
            true => "nothing above zero here",
            false => "no numbers here",
        };
        return frame.render_widget(Paragraph::new(text).style(theme.dim), inner);
    };
    if board.as_picture() {
        // The picture is printed over these cells.
        leave(plot, frame);
    } else {
        draw_cells(board, &drawing, plot, frame);
    }
    if let Some(area) = legend {
        frame.render_widget(Paragraph::new(values(board, name, area)), area);
    }
}

fn draw_cells(board: &Board, drawing: &Drawing, plot: Rect, frame: &mut Frame) {
    let theme = &board.theme;
    let Drawing { low, high, bottom, top, .. } = *drawing;
    let mut sets: Vec<Dataset> = drawing
        .lines
        .iter()
        .map(|line| {
            // A single point is no line.
            let kind = if line.points.len() == 1 { GraphType::Scatter } else { GraphType::Line };
            let style = match line.kind {
                Kind::Behind => theme.dim,
                Kind::Curve | Kind::HeldOut => Style::new().fg(line.colour),
            };
            // Held-out values stand few and far between, and must not look like the curve.
            let marker = if line.kind == Kind::HeldOut { Marker::Dot } else { Marker::Braille };
            let set = Dataset::default().marker(marker).graph_type(kind);
            set.style(style).data(&line.points)
        })
        .collect();
    // Checkpoints stand at the bottom, troubles at the top.
    let at = |wanted: bool, y: f64| -> Vec<(f64, f64)> {
        let marks = drawing.marks.iter().filter(|(_, k)| (*k == MarkKind::Checkpoint) == wanted);
        marks.map(|(x, _)| (*x, y)).collect()
    };
    let (checkpoints, troubles) = (at(true, bottom), at(false, top));
    for (points, style) in [(&checkpoints, theme.dim), (&troubles, theme.error)] {
        let set = Dataset::default().marker(Marker::Dot).graph_type(GraphType::Scatter);
        sets.push(set.style(style).data(points));
    }
    let reader = board.reading.filter(|_| board.open).map(|x| [(x, bottom), (x, top)]);
    if let Some(reader) = &reader {
        let line = Dataset::default().marker(Marker::Braille).graph_type(GraphType::Line);
        sets.push(line.style(theme.text).data(reader));
    }
    let heights =
        [bottom, (bottom + top) / 2.0, top].map(|y| drawing.label(y, (top - bottom) / 4.0));
    let places =
        [low, (low + high) / 2.0, high].map(|x| place_in_words(x, board.scale.axis, high - low));
    let chart = Chart::new(sets)
        .x_axis(Axis::default().style(theme.dim).bounds([low, high]).labels(places))
        .y_axis(Axis::default().style(theme.dim).bounds([bottom, top]).labels(heights));
    frame.render_widget(chart, plot);
}

/// Where the open chart is drawn; see [`draw`].
pub fn plot_of(board: &Board, area: Rect) -> Option<Rect> {
    let name = board.metric().filter(|_| board.open)?;
    Some(parts(board, name, Block::bordered().inner(area)).0)
}

/// The chart, and the names under it.
fn parts(board: &Board, name: &str, inner: Rect) -> (Rect, Option<Rect>) {
    if !board.open {
        return (inner, None);
    }
    let has = |i: &usize| board.run(*i).curves.get(name).is_some();
    // A third of the room, for as many runs as it has lines; Up and Down turn the charts.
    let rows = (board.drawn().filter(has).count() as u16).min(inner.height / 3).max(1);
    let [plot, legend] =
        Layout::vertical([Constraint::Min(3), Constraint::Length(rows)]).areas(inner);
    (plot, Some(legend))
}

/// Cells that the terminal keeps as they are.
pub fn leave(area: Rect, frame: &mut Frame) {
    let buffer = frame.buffer_mut();
    for y in area.top()..area.bottom() {
        for x in area.left()..area.right() {
            if let Some(cell) = buffer.cell_mut((x, y)) {
                cell.set_diff_option(ratatui::buffer::CellDiffOption::Skip);
            }
        }
    }
}

/// Each run with its value under the reader, or its last one.
fn values(board: &Board, metric: &str, area: Rect) -> Vec<Line<'static>> {
    let theme = &board.theme;
    let mut lines: Vec<Line> = Vec::new();
    let room = usize::from(area.height);
    let has = |i: &usize| board.run(*i).curves.get(metric).is_some();
    let all: Vec<usize> = board.drawn().filter(has).collect();
    for i in all.iter().take(if all.len() > room { room.saturating_sub(1) } else { room }) {
        let run = board.run(*i);
        let clock = run.clock(board.scale.axis);
        let place = run.curves.get(metric).zip(clock);
        let point = place.and_then(|(series, clock)| match board.reading {
            Some(x) => value_at(series, clock, x),
            None => series.last(),
        });
        let told = match point {
            Some(p) if p.wall.is_finite() => {
                let since = place_in_words(
                    p.wall - run.curves.began().unwrap_or(0.0),
                    XAxis::Relative,
                    1.0,
                );
                format!("{} at step {}, {since}", digits(p.value), p.step)
            }
            Some(p) => format!("{} at step {}", digits(p.value), p.step),
            None => "-".into(),
        };
        let held_out = board.charted(metric).skip(1).filter_map(|partner| {
            let (series, clock) = run.curves.get(partner).zip(clock)?;
            let point = match board.reading {
                Some(x) => value_at(series, clock, x)?,
                None => series.last()?,
            };
            Some(format!(" · held out {} at {}", digits(point.value), point.step))
        });
        let told = told + &held_out.collect::<String>();
        let name = run.title().unwrap_or(&run.name);
        let name = fit(&printable(name), usize::from(area.width).saturating_sub(told.len() + 4));
        lines.push(Line::from(vec![
            Span::styled("━ ", Style::new().fg(board.runs[*i].colour).bold()),
            Span::styled(format!("{name}  "), theme.dim),
            Span::styled(told, theme.text),
        ]));
    }
    if all.len() > lines.len() {
        lines.push(Line::styled(format!("and {} more", all.len() - lines.len()), theme.dim));
    }
    lines
}

/// As many digits as a 32-bit float has; no more are meant.
fn digits(value: f64) -> String {
    if value == value.round() && value.abs() < 1e15 {
        return format!("{value}");
    }
    let short = format!("{value:.7e}").parse::<f64>();
    short.unwrap_or(value).to_string()
}

/// A place on the horizontal axis in words.
pub fn place_in_words(x: f64, axis: XAxis, length: f64) -> String {
    match axis {
        XAxis::Step if x.abs() >= 1e6 => format!("{:.2}M", x / 1e6),
        XAxis::Step => format!("{x:.0}"),
        XAxis::Epoch => format!("{x:.2}"),
        XAxis::Relative => {
            let seconds = x.max(0.0);
            let (h, m, s) = (seconds as u64 / 3600, seconds as u64 / 60 % 60, seconds as u64 % 60);
            match (h, m) {
                (0, 0) => format!("{seconds:.1} s"),
                (0, _) => format!("{m}:{s:02}"),
                _ => format!("{h}:{m:02}:{s:02}"),
            }
        }
        XAxis::Wall => {
            let zone = jiff::tz::TimeZone::system();
            match jiff::Timestamp::from_second(x as i64) {
                Ok(at) if length > 86_400.0 => {
                    at.to_zoned_datetime(zone).strftime("%m-%d %H:%M").to_string()
                }
                Ok(at) => at.to_zoned_datetime(zone).strftime("%H:%M:%S").to_string(),
                Err(_) => String::new(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_as_people_tell_them() {
        let told = [0.5, 75.0, 3700.0].map(|x| place_in_words(x, XAxis::Relative, 1.0));
        assert_eq!(told, ["0.5 s", "1:15", "1:01:40"]);
        assert_eq!(place_in_words(2_500_000.0, XAxis::Step, 1.0), "2.50M");
    }
}
