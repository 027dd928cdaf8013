//! One metric of all runs that are shown.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, Paragraph};

use crate::runs::XAxis;
use crate::text::{fit, printable};
use crate::tui::board::state::{Board, Focus, value_at};
use crate::tui::board::trace::{Frame as Stretch, height, short, span, trace};

pub fn draw(board: &Board, metric: usize, area: Rect, frame: &mut Frame) {
    let theme = &board.theme;
    let Some(name) = board.metrics.get(metric) else { return };
    let chosen = board.open || (board.focus == Focus::Charts && metric == board.chart);
    let title = format!(" {} ", fit(&printable(name), usize::from(area.width).saturating_sub(4)));
    let block = Block::bordered()
        .title(Span::styled(title, if chosen { theme.accent } else { theme.text }))
        .border_style(if chosen { theme.accent } else { theme.border });
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let Some((low, high)) = board.seen(name) else { return };
    // One point alone still has a chart around it.
    let high = if high > low { high } else { low + 1.0 };
    let (plot, legend) = match board.open {
        true => {
            let has = |i: &usize| board.run(*i).curves.get(name).is_some();
            let rows = (board.drawn().filter(has).count() as u16).min(inner.height / 3).max(1);
            let [plot, legend] =
                Layout::vertical([Constraint::Min(3), Constraint::Length(rows)]).areas(inner);
            (plot, Some(legend))
        }
        false => (inner, None),
    };
    let columns = usize::from(plot.width) * 2;
    let mut lines: Vec<(Vec<(f64, f64)>, Style)> = Vec::new();
    let mut behind: Vec<(Vec<(f64, f64)>, Style)> = Vec::new();
    for i in board.drawn() {
        let run = board.run(i);
        let clock = run.clock(board.scale.axis);
        let Some((raw, clock)) = run.curves.get(name).zip(clock) else { continue };
        let stretch = Stretch { clock, low, high, columns };
        let style = Style::new().fg(board.runs[i].colour);
        match board.smoothed.get(&(i, name.clone())) {
            None => lines.push((trace(raw, stretch), style)),
            Some(smoothed) => {
                behind.push((trace(raw, stretch), theme.dim));
                lines.push((trace(&smoothed.series, stretch), style));
            }
        }
    }
    // What lies behind is drawn first.
    behind.append(&mut lines);
    let (points, styles): (Vec<_>, Vec<_>) = behind.into_iter().unzip();
    let Some((bottom, top)) = span(&points, (low, high), board.scale) else {
        let text = match board.scale.log {
            true => "nothing above zero here",
            false => "no numbers here",
        };
        return frame.render_widget(Paragraph::new(text).style(theme.dim), inner);
    };
    let points: Vec<Vec<(f64, f64)>> = points
        .into_iter()
        .map(|all| {
            let placed =
                all.into_iter().filter_map(|(x, y)| Some((x, height(y, board.scale.log)?)));
            placed.collect()
        })
        .collect();
    let mut sets: Vec<Dataset> = points
        .iter()
        .zip(&styles)
        .map(|(points, style)| {
            // A single point is no line.
            let kind = if points.len() == 1 { GraphType::Scatter } else { GraphType::Line };
            Dataset::default().marker(Marker::Braille).graph_type(kind).style(*style).data(points)
        })
        .collect();
    let reader = board.reading.filter(|_| board.open).map(|x| [(x, bottom), (x, top)]);
    if let Some(reader) = &reader {
        let line = Dataset::default().marker(Marker::Braille).graph_type(GraphType::Line);
        sets.push(line.style(theme.text).data(reader));
    }
    let step = (top - bottom) / 4.0;
    let back = |y: f64| if board.scale.log { 10f64.powf(y) } else { y };
    let heights = [bottom, (bottom + top) / 2.0, top].map(|y| short(back(y), step));
    let places = [low, (low + high) / 2.0, high].map(|x| place(x, board.scale.axis, high - low));
    let chart = Chart::new(sets)
        .x_axis(Axis::default().style(theme.dim).bounds([low, high]).labels(places))
        .y_axis(Axis::default().style(theme.dim).bounds([bottom, top]).labels(heights));
    frame.render_widget(chart, plot);
    if let Some(area) = legend {
        frame.render_widget(Paragraph::new(values(board, name, area)), area);
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
                let since = self::place(p.wall - run.curves.began().unwrap_or(0.0), XAxis::Relative, 1.0);
                format!("{} at step {}, {since}", p.value, p.step)
            }
            Some(p) => format!("{} at step {}", p.value, p.step),
            None => "-".into(),
        };
        let name =
            fit(&printable(&run.name), usize::from(area.width).saturating_sub(told.len() + 4));
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

/// A place on the horizontal axis in words.
fn place(x: f64, axis: XAxis, length: f64) -> String {
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
        let told = [0.5, 75.0, 3700.0].map(|x| place(x, XAxis::Relative, 1.0));
        assert_eq!(told, ["0.5 s", "1:15", "1:01:40"]);
        assert_eq!(place(2_500_000.0, XAxis::Step, 1.0), "2.50M");
    }
}
