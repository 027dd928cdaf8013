//! What a run logged by step besides numbers, under names.

mod histogram;
mod plane;
mod precision;
mod rows;
mod sound;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{List, ListState, Paragraph, Wrap};

use super::chart::leave;
use crate::tui::board::page::{Content, Page, Part, Room, steps};
use crate::tui::board::state::Board;
use crate::tui::graphics::paint;
use artgpt_base::text::{fit, printable, printable_lines};
use artgpt_runs::{At, ByTag, Media, Run};

/// Columns of the list of names.
const NAMES: u16 = 26;

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
    let Ok(Content::Picture(_, (width, height))) = &shown.content else { return None };
    let [.., rest] = areas(body);
    Some(Rect { width: (*width).min(rest.width), height: (*height).min(rest.height), ..rest })
}

pub fn draw(board: &Board, run: &Run, page: &Page, body: Rect, frame: &mut Frame) {
    let about = &run.curves.about;
    let [.., rest] = areas(body);
    match page.part {
        Part::Texts => {
            let Some((_, at)) = framed(board, page, &about.texts, body, frame) else { return };
            let texts: Vec<String> = at.iter().map(|at| printable_lines(&at.what)).collect();
            let text = texts.join("\n\n");
            let width = usize::from(rest.width.max(1));
            let rows = text.lines().map(|line| textwrap::wrap(line, width).len().max(1));
            page.most.set(rows.sum::<usize>().saturating_sub(usize::from(rest.height)));
            let scroll = u16::try_from(page.scroll).unwrap_or(u16::MAX);
            let text = Paragraph::new(text).wrap(Wrap { trim: false }).scroll((scroll, 0));
            frame.render_widget(text, rest);
        }
        Part::Pictures => {
            one_of(board, page, &about.pictures, body, frame);
            content(board, run, page, body, frame);
        }
        Part::Sounds => {
            one_of(board, page, &about.sounds, body, frame);
            content(board, run, page, body, frame);
        }
        Part::Tables => {
            framed(board, page, &about.tables, body, frame);
            content(board, run, page, body, frame);
        }
        Part::Embeddings => {
            framed(board, page, &page.texts.embeddings, body, frame);
            content(board, run, page, body, frame);
        }
        Part::Precision => {
            let Some((_, at)) = framed(board, page, &about.precision, body, frame) else { return };
            page.most.set(0);
            if let Some(cuts) = at.last() {
                precision::draw(board, &cuts.what, rest, frame);
            }
        }
        _ => {
            let Some((_, at)) = framed(board, page, &about.histograms, body, frame) else { return };
            page.most.set(0);
            let all = about.histograms.values().nth(page.tag.min(about.histograms.len() - 1));
            if let (Some(all), Some(chosen)) = (all, at.first()) {
                histogram::draw(board, all, chosen.step, rest, frame);
            }
        }
    }
}

/// Names, step, and which of several at that step is seen.
fn one_of(board: &Board, page: &Page, all: &ByTag<Media>, body: Rect, frame: &mut Frame) {
    let Some((head, at)) = framed(board, page, all, body, frame) else { return };
    page.most.set(at.len() - 1);
    let Some(one) = page.one_of(at) else { return };
    let mut caption = printable(&one.what.caption);
    if at.len() > 1 {
        let place = page.scroll.min(at.len() - 1) + 1;
        caption = format!("{place} of {} (PageDown)  {caption}", at.len());
    }
    let under = Rect { y: head.y + 1, height: 1, ..head };
    frame.render_widget(Paragraph::new(caption).style(board.theme.text), under);
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
    let steps = steps(list);
    let place = steps - page.back.min(steps - 1);
    let line = Line::from(vec![
        Span::styled(format!("step {step}"), theme.accent),
        Span::styled(format!("  {place} of {steps}   [ ] earlier, later"), theme.dim),
    ]);
    frame.render_widget(Paragraph::new(line), head);
    Some((head, at))
}

/// What was read of that for which the page asks.
fn content(board: &Board, run: &Run, page: &Page, body: Rect, frame: &mut Frame) {
    let theme = &board.theme;
    let [.., rest] = areas(body);
    let Some(asked) = page.asked(run, room(board, body)) else { return };
    match page.shown(&asked) {
        None => frame.render_widget(Paragraph::new("reading …").style(theme.dim), rest),
        Some(Err(why)) => {
            let text = Paragraph::new(printable(why)).wrap(Wrap { trim: false });
            frame.render_widget(text.style(theme.error), rest);
        }
        Some(Ok(Content::Picture(image, _))) => {
            let Some(cells) = picture_cells(board, body) else { return };
            match board.cell.is_some() && board.pictures {
                // It is printed over these cells.
                true => leave(cells, frame),
                false => paint(image, cells, board.colours, frame.buffer_mut()),
            }
        }
        Some(Ok(Content::Sound(sound))) => sound::draw(board, sound, rest, frame),
        Some(Ok(Content::Table(rows))) => rows::draw(board, page, rows, rest, frame),
        Some(Ok(Content::Plane(plane))) => plane::draw(board, plane, rest, frame),
    }
}
