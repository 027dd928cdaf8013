//! What a run logged by step besides numbers: texts, pictures, histograms.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{List, ListState, Paragraph, Wrap};

use super::chart::leave;
use crate::runs::{At, Bin, ByTag, Picture, Run};
use crate::text::{fit, number, printable, printable_lines};
use crate::tui::board::page::{Page, Part, Room};
use crate::tui::board::state::Board;
use crate::tui::graphics::paint;

/// Columns of the list of names.
const NAMES: u16 = 26;
/// From nothing to the fullest bar.
const SHADES: [&str; 5] = [" ", "░", "▒", "▓", "█"];
/// Columns of one step's bar, at most.
const BROADEST: usize = 6;
/// Columns of a histogram's values.
const VALUES: u16 = 12;

/// The names, the line that says which step is seen, and the rest.
fn areas(body: Rect) -> [Rect; 3] {
    let [names, _, right] =
        Layout::horizontal([Constraint::Length(NAMES), Constraint::Length(1), Constraint::Min(0)])
            .areas(body);
    let [head, rest] = Layout::vertical([Constraint::Length(2), Constraint::Min(0)]).areas(right);
    [names, head, rest]
}

/// Where a picture is shown on a page whose body is this.
pub fn room(board: &Board, body: Rect) -> Room {
    let [.., rest] = areas(body);
    // Two half-blocks a cell where the terminal shows no pictures.
    let cell = board.cell.filter(|_| board.pictures).unwrap_or((1, 2));
    Room { cells: (rest.width, rest.height), cell }
}

/// The cells of the picture that is shown.
pub fn picture_cells(board: &Board, body: Rect) -> Option<Rect> {
    let shown = board.page.as_ref()?.texts.shown.as_ref()?;
    let (_, (width, height)) = shown.image.as_ref().ok()?;
    let [.., rest] = areas(body);
    Some(Rect { width: (*width).min(rest.width), height: (*height).min(rest.height), ..rest })
}

pub fn draw(board: &Board, run: &Run, page: &Page, body: Rect, frame: &mut Frame) {
    let about = &run.curves.about;
    match page.part {
        Part::Texts => {
            let Some((_, at)) = framed(board, page, &about.texts, body, frame) else { return };
            let [.., rest] = areas(body);
            let texts = at.iter().map(|at| printable_lines(&at.what));
            let text = Paragraph::new(texts.collect::<Vec<_>>().join("\n\n"));
            let text = text.wrap(Wrap { trim: false }).scroll((page.scroll as u16, 0));
            frame.render_widget(text, rest);
        }
        Part::Pictures => {
            let Some((head, at)) = framed(board, page, &about.pictures, body, frame) else {
                return;
            };
            let place = page.scroll.min(at.len() - 1);
            let mut caption = printable(&at[place].what.caption);
            if at.len() > 1 {
                caption = format!("{} of {} (PageDown)  {caption}", place + 1, at.len());
            }
            let under = Rect { y: head.y + 1, height: 1, ..head };
            frame.render_widget(Paragraph::new(caption).style(board.theme.text), under);
            picture(board, page, &at[place].what, body, frame);
        }
        _ => {
            let Some((_, at)) = framed(board, page, &about.histograms, body, frame) else { return };
            let [.., rest] = areas(body);
            let all = about.histograms.values().nth(page.tag.min(about.histograms.len() - 1));
            if let (Some(all), Some(chosen)) = (all, at.first()) {
                histogram(board, all, chosen.step, rest, frame);
            }
        }
    }
}

/// The list of names, and which step is seen; comes back with the line's place and the entries.
fn framed<'a, T>(
    board: &Board,
    page: &Page,
    all: &'a ByTag<T>,
    body: Rect,
    frame: &mut Frame,
) -> Option<(Rect, &'a [At<T>])> {
    let theme = &board.theme;
    let [names, head, _] = areas(body);
    let items: Vec<String> =
        all.keys().map(|name| fit(&printable(name), usize::from(NAMES))).collect();
    let mut state = ListState::default().with_selected(Some(page.tag));
    let list = List::new(items).style(theme.text).highlight_style(theme.selected);
    frame.render_stateful_widget(list, names, &mut state);
    let (_, at) = page.chosen(all)?;
    let step = at.first()?.step;
    let list = all.values().nth(page.tag.min(all.len() - 1))?;
    let steps = list.chunk_by(|a, b| a.step == b.step).count();
    let place = steps - page.back.min(steps - 1);
    let line = Line::from(vec![
        Span::styled(format!("step {step}"), theme.accent),
        Span::styled(format!("  {place} of {steps}   [ ] earlier, later"), theme.dim),
    ]);
    frame.render_widget(Paragraph::new(line), head);
    Some((head, at))
}

fn picture(board: &Board, page: &Page, wanted: &Picture, body: Rect, frame: &mut Frame) {
    let [.., rest] = areas(body);
    let shown = page.texts.shown.as_ref().filter(|shown| shown.of.0 == *wanted);
    match shown.map(|shown| &shown.image) {
        None => frame.render_widget(Paragraph::new("reading …").style(board.theme.dim), rest),
        Some(Err(why)) => {
            let text = Paragraph::new(printable(why)).wrap(Wrap { trim: false });
            frame.render_widget(text.style(board.theme.error), rest);
        }
        Some(Ok((image, _))) => {
            let Some(cells) = picture_cells(board, body) else { return };
            match board.cell.is_some() && board.pictures {
                // It is printed over these cells.
                true => leave(cells, frame),
                false => paint(image, cells, board.colours, frame.buffer_mut()),
            }
        }
    }
}

/// Steps from left to right, values from the bottom to the top: the darker, the more of them.
fn histogram(board: &Board, all: &[At<Vec<Bin>>], step: u64, area: Rect, frame: &mut Frame) {
    let theme = &board.theme;
    let ends = all
        .iter()
        .flat_map(|at| &at.what)
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), bin| {
            (low.min(bin.low), high.max(bin.high))
        });
    let (low, high) = ends;
    if !(low.is_finite() && high.is_finite()) || area.height < 3 || area.width <= VALUES {
        return frame.render_widget(Paragraph::new("no values").style(theme.dim), area);
    }
    let high = if high > low { high } else { low + 1.0 };
    let rows = usize::from(area.height - 1);
    let room = usize::from(area.width - VALUES);
    let columns = room.min(all.len());
    // Few steps have broad bars.
    let broad = (room / columns.max(1)).clamp(1, BROADEST);
    let shown: Vec<&At<Vec<Bin>>> =
        (0..columns).map(|c| &all[(c + 1) * all.len() / columns - 1]).collect();
    let grid: Vec<Vec<f64>> = shown.iter().map(|at| spread(&at.what, (low, high), rows)).collect();
    let mut lines = Vec::new();
    for row in (0..rows).rev() {
        let value = low + (high - low) * (row as f64 + 0.5) / rows as f64;
        let name = if row % 3 == 0 { number(value) } else { String::new() };
        let mut spans = vec![Span::styled(format!("{name:>10}  "), theme.dim)];
        for (at, column) in shown.iter().zip(&grid) {
            let most = column.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
            let share = column[row] / most;
            let shade = (share * (SHADES.len() - 1) as f64).ceil() as usize;
            let style: Style = if at.step == step { theme.accent } else { theme.text };
            let shade = SHADES[shade.min(SHADES.len() - 1)];
            spans.push(Span::styled(shade.repeat(broad), style));
        }
        lines.push(Line::from(spans));
    }
    let steps = shown.first().zip(shown.last());
    let steps = steps.map_or(String::new(), |(a, b)| format!("steps {} to {}", a.step, b.step));
    lines.push(Line::styled(format!("{:12}{steps}", ""), theme.dim));
    frame.render_widget(Paragraph::new(lines), area);
}

/// How many values lie in each of so many equal parts; a bar counts where it reaches, by share.
fn spread(bins: &[Bin], (low, high): (f64, f64), parts: usize) -> Vec<f64> {
    let mut out = vec![0.0; parts];
    let scale = parts as f64 / (high - low);
    for bin in bins {
        let (from, to) = ((bin.low - low) * scale, (bin.high - low) * scale);
        // A damaged one may have no ends.
        if !(from.is_finite() && to.is_finite() && bin.count.is_finite()) {
            continue;
        }
        let from = from.clamp(0.0, parts as f64);
        let to = to.clamp(from, parts as f64);
        let first = (from as usize).min(parts - 1);
        let last = (to.ceil() as usize).clamp(first + 1, parts);
        for (part, sum) in out.iter_mut().enumerate().take(last).skip(first) {
            let inside = (to.min(part as f64 + 1.0) - from.max(part as f64)).max(0.0);
            let share = if to > from { inside / (to - from) } else { 1.0 };
            *sum += bin.count * share;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_spread_over_the_rows_that_they_reach() {
        let bin = |low, high, count| Bin { low, high, count };
        let bins = [bin(0.0, 2.0, 4.0), bin(2.0, 4.0, 1.0), bin(3.5, 3.5, 2.0)];
        assert_eq!(spread(&bins, (0.0, 4.0), 4), [2.0, 2.0, 0.5, 2.5]);
        assert_eq!(spread(&bins[..1], (0.0, 8.0), 2), [4.0, 0.0]);
        let odd = [bin(f64::NAN, 1.0, 1.0), bin(-1e308, 1e308, 1.0), bin(3.0, 1.0, 1.0)];
        assert_eq!(spread(&odd, (-1e308, 1e308), 2).len(), 2);
    }
}
