//! Draws the tabs with names and steps.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{List, ListState, Paragraph, Wrap};

use super::{histogram, precision, projection, sound, table};
use crate::tui::graphics::paint;
use crate::tui::panel::chart::view::skip;
use crate::tui::panel::layout::{self, NAMES, picture_room};
use crate::tui::panel::page::{MediaContent, Page, Tab, steps, texts};
use crate::tui::panel::state::Panel;
use artgpt_base::text::{fit, printable};
use artgpt_runs::{At, ByTag, Media, Run};

pub(crate) fn draw(panel: &Panel, run: &Run, page: &Page, body: Rect, frame: &mut Frame) {
    let about = &run.curves.about;
    let [.., rest] = layout::media(body);
    match page.tab {
        Tab::Texts => {
            if framed(panel, page, &about.texts, body, frame).is_none() {
                return;
            }
            let scroll = u16::try_from(page.scroll).unwrap_or(u16::MAX);
            let text = Paragraph::new(texts(run, page)).wrap(Wrap { trim: false });
            frame.render_widget(text.scroll((scroll, 0)), rest);
        }
        Tab::Pictures => {
            one_of(panel, page, &about.pictures, body, frame);
            content(panel, run, page, body, frame);
        }
        Tab::Sounds => {
            one_of(panel, page, &about.sounds, body, frame);
            content(panel, run, page, body, frame);
        }
        Tab::Tables => {
            framed(panel, page, &about.tables, body, frame);
            content(panel, run, page, body, frame);
        }
        Tab::Embeddings => {
            framed(panel, page, &page.data.embeddings, body, frame);
            content(panel, run, page, body, frame);
        }
        Tab::Precision => {
            let Some((_, at)) = framed(panel, page, &about.precision, body, frame) else { return };
            if let Some(cuts) = at.last() {
                precision::draw(panel, &cuts.what, rest, frame);
            }
        }
        _ => {
            let Some((_, at)) = framed(panel, page, &about.histograms, body, frame) else { return };
            let all = about.histograms.values().nth(page.name.min(about.histograms.len() - 1));
            if let (Some(all), Some(chosen)) = (all, at.first()) {
                histogram::draw(panel, all, chosen.step, rest, frame);
            }
        }
    }
}

/// Names, step, and which of several items at that step is visible.
fn one_of(panel: &Panel, page: &Page, all: &ByTag<Media>, body: Rect, frame: &mut Frame) {
    let Some((head, at)) = framed(panel, page, all, body, frame) else { return };
    let Some(one) = page.one_of(at) else { return };
    let mut caption = printable(&one.what.caption);
    if at.len() > 1 {
        let place = page.scroll.min(at.len() - 1) + 1;
        caption = format!("{place} of {} (PageDown)  {caption}", at.len());
    }
    let under = Rect { y: head.y + 1, height: 1, ..head };
    frame.render_widget(Paragraph::new(caption).style(panel.theme.text), under);
}

/// Draws the names and the step; returns the area of the step's lines and the entries at that step.
fn framed<'a, T>(
    panel: &Panel,
    page: &Page,
    all: &'a ByTag<T>,
    body: Rect,
    frame: &mut Frame,
) -> Option<(Rect, &'a [At<T>])> {
    let theme = &panel.theme;
    let [names, head, _] = layout::media(body);
    let items: Vec<String> =
        all.keys().map(|name| fit(&printable(name), usize::from(NAMES))).collect();
    let mut state = ListState::default().with_selected(Some(page.name));
    let list = List::new(items).style(theme.text).highlight_style(theme.selected);
    frame.render_stateful_widget(list, names, &mut state);
    let (_, at) = page.chosen(all)?;
    let step = at.first()?.step;
    let list = all.values().nth(page.name.min(all.len() - 1))?;
    let steps = steps(list);
    let place = steps - page.back.min(steps - 1);
    let line = Line::from(vec![
        Span::styled(format!("step {step}"), theme.accent),
        Span::styled(format!("  {place} of {steps}   [ ] earlier, later"), theme.dim),
    ]);
    frame.render_widget(Paragraph::new(line), head);
    Some((head, at))
}

/// Draws the media that the page has loaded.
fn content(panel: &Panel, run: &Run, page: &Page, body: Rect, frame: &mut Frame) {
    let theme = &panel.theme;
    let [.., rest] = layout::media(body);
    let Some(request) = page.media_request(run, picture_room(panel)) else { return };
    match page.media(&request) {
        None => frame.render_widget(Paragraph::new("reading …").style(theme.dim), rest),
        Some(Err(why)) => {
            let text = Paragraph::new(printable(why)).wrap(Wrap { trim: false });
            frame.render_widget(text.style(theme.error), rest);
        }
        Some(Ok(MediaContent::Picture(image, _))) => {
            let Some(cells) = layout::picture_cells(panel, body) else { return };
            match panel.cell.is_some() && panel.pictures {
                // The picture is printed over these cells.
                true => skip(cells, frame),
                false => paint(image, cells, panel.colours, frame.buffer_mut()),
            }
        }
        Some(Ok(MediaContent::Sound(sound))) => sound::draw(panel, sound, rest, frame),
        Some(Ok(MediaContent::Table(rows))) => table::draw(panel, page, rows, rest, frame),
        Some(Ok(MediaContent::Projection(plane))) => projection::draw(panel, plane, rest, frame),
    }
}
