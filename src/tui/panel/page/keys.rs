//! Keys of a page.

use crossterm::event::KeyEvent;

use super::load::PageRequest;
use super::state::{Page, tabs};
use crate::tui::keys::PageAction;
use crate::tui::panel::effects::Effect;
use crate::tui::panel::media::Save;
use crate::tui::panel::overlay::Overlay;
use crate::tui::panel::state::Panel;

/// What the keys of a page do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Close,
    Tab(isize),
    /// Select another name.
    Name(isize),
    /// Go to later steps, or to columns and levels further on.
    Step(isize),
    Scroll(isize),
    Top,
    Column(isize),
    /// Write what the tab shows to a file.
    Save,
}

pub(crate) fn action(panel: &Panel, page: &Page, key: KeyEvent) -> Option<Action> {
    let names = page.tab.has_names();
    // One item at a time where it fills the page.
    let screen = match page.tab.is_one_by_one() {
        true => 1,
        false => isize::try_from(panel.screen.height.saturating_sub(4)).unwrap_or(1),
    };
    Some(match panel.keymap.action::<PageAction>(&key)? {
        PageAction::Close => Action::Close,
        PageAction::NextTab => Action::Tab(1),
        PageAction::PreviousTab => Action::Tab(-1),
        PageAction::Down if names => Action::Name(1),
        PageAction::Up if names => Action::Name(-1),
        PageAction::Earlier => Action::Step(-1),
        PageAction::Later => Action::Step(1),
        PageAction::Down | PageAction::ScrollDown => Action::Scroll(1),
        PageAction::Up | PageAction::ScrollUp => Action::Scroll(-1),
        PageAction::PageDown => Action::Scroll(screen),
        PageAction::PageUp => Action::Scroll(-screen),
        PageAction::Top => Action::Top,
        PageAction::ColumnRight => Action::Column(1),
        PageAction::ColumnLeft => Action::Column(-1),
        PageAction::Save => Action::Save,
    })
}

pub(crate) fn apply(panel: &mut Panel, action: Action) -> Vec<Effect> {
    match action {
        Action::Close => {
            panel.overlays.pop();
            return Vec::new();
        }
        Action::Save => {
            let save = Save::new(panel);
            if save.is_none() {
                panel.notice = Some("this tab has nothing to write to a file".into());
            }
            return save.map(Effect::Save).into_iter().collect();
        }
        _ => {}
    }
    let extent = panel.page_extent();
    let run = panel.page_run();
    let tabs = run.zip(panel.overlays.page()).map(|(run, page)| tabs(run, &page.data));
    let Some(page) = panel.overlays.page_mut() else { return Vec::new() };
    let place = |page: &Page| (page.tab, page.name, page.back, page.scroll);
    let before = place(page);
    let to = |at: usize, by: isize, count: usize| {
        at.saturating_add_signed(by).min(count.saturating_sub(1))
    };
    match action {
        Action::Tab(by) => page.turn(&tabs.unwrap_or_default(), by),
        Action::Name(by) => {
            (page.name, page.back, page.scroll) = (to(page.name, by, extent.names), 0, 0);
        }
        Action::Step(by) => {
            // `back` counts earlier steps, but columns and levels further on.
            let names = page.tab.has_names();
            page.back = to(page.back, if names { -by } else { by }, extent.steps);
            page.scroll = if names { 0 } else { page.scroll };
        }
        Action::Scroll(by) => page.scroll = page.scroll.saturating_add_signed(by),
        Action::Top => page.scroll = 0,
        Action::Column(by) => page.column = page.column.saturating_add_signed(by),
        Action::Close | Action::Save => {}
    }
    panel.clamp_page();
    // Other media may be visible now.
    match panel.overlays.page().is_some_and(|page| place(page) != before) {
        true => reload(panel),
        false => Vec::new(),
    }
}

/// Opens the page of the run under the cursor.
pub(crate) fn open(panel: &mut Panel) -> Vec<Effect> {
    let Some(run) = panel.chosen() else { return Vec::new() };
    let page = Page::new(panel.run(run).path.clone());
    panel.overlays.push(Overlay::Page(Box::new(page)));
    reload(panel)
}

/// Reads the open page again, because its files grow. One request at a time, because a disk may hang.
pub(crate) fn reload(panel: &mut Panel) -> Vec<Effect> {
    let Some(page) = panel.overlays.page().filter(|page| !page.loading) else { return Vec::new() };
    let Some(run) = panel.page_run() else { return Vec::new() };
    let other = |i: usize| {
        let run = panel.run(i);
        (run.path.clone(), run.curves.about.settings.clone())
    };
    let request = PageRequest {
        run: page.run.clone(),
        settings: run.curves.about.settings.clone(),
        others: panel.page_others().into_iter().map(other).collect(),
        media: panel.media_request(),
        known: page.data.media.clone(),
    };
    if let Some(page) = panel.overlays.page_mut() {
        page.loading = true;
    }
    vec![Effect::LoadPage(Box::new(request))]
}
