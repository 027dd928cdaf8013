//! Keys of the list, which also work in the table and beside the charts.

use crossterm::event::KeyEvent;

use crate::tui::keys::{RunListAction, RunsAction, TableAction};
use crate::tui::panel::effects::Effect;
use crate::tui::panel::page;
use crate::tui::panel::state::{Focus, Panel};

/// What the keys of the list do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    MoveBy(isize),
    First,
    Last,
    /// Show or hide the curves of the selected runs.
    ToggleShown,
    /// Show the curves of all listed runs, or of none.
    ShowAll(bool),
    /// Show the curves of the run under the cursor alone.
    ShowOnly,
    Select,
    SelectAll,
    Pin,
    Sort,
    Filter,
    OpenPage,
}

pub(crate) fn action(panel: &Panel, key: KeyEvent) -> Option<Action> {
    let screen = isize::try_from(panel.screen.height.saturating_sub(4)).unwrap_or(1);
    if panel.table.open {
        match panel.keymap.action::<TableAction>(&key) {
            Some(TableAction::Up) => return Some(Action::MoveBy(-1)),
            Some(TableAction::Down) => return Some(Action::MoveBy(1)),
            Some(TableAction::PageUp) => return Some(Action::MoveBy(-screen)),
            Some(TableAction::PageDown) => return Some(Action::MoveBy(screen)),
            Some(TableAction::OpenPage) => return Some(Action::OpenPage),
            _ => {}
        }
    } else if panel.focus == Focus::List && !panel.charts.open {
        match panel.keymap.action::<RunListAction>(&key) {
            Some(RunListAction::Up) => return Some(Action::MoveBy(-1)),
            Some(RunListAction::Down) => return Some(Action::MoveBy(1)),
            None => {}
        }
    }
    Some(match panel.keymap.action::<RunsAction>(&key)? {
        RunsAction::First => Action::First,
        RunsAction::Last => Action::Last,
        RunsAction::ToggleShown => Action::ToggleShown,
        RunsAction::ShowAll => Action::ShowAll(true),
        RunsAction::ShowNone => Action::ShowAll(false),
        RunsAction::ShowOnly => Action::ShowOnly,
        RunsAction::Select => Action::Select,
        RunsAction::SelectAll => Action::SelectAll,
        RunsAction::Pin => Action::Pin,
        RunsAction::Sort => Action::Sort,
        RunsAction::Filter => Action::Filter,
    })
}

pub(crate) fn apply(panel: &mut Panel, action: Action) -> Vec<Effect> {
    match action {
        Action::MoveBy(by) => {
            panel.move_by(by);
            panel.saved.run = None;
        }
        Action::First => panel.go_to(0),
        Action::Last => panel.go_to(usize::MAX),
        Action::ToggleShown => {
            let targets = panel.targets();
            let all = targets.iter().all(|i| panel.runs[*i].shown);
            show_where(panel, |i| targets.contains(&i).then_some(!all));
        }
        Action::ShowAll(shown) => {
            let listed = panel.listed().to_vec();
            show_where(panel, |i| listed.contains(&i).then_some(shown));
        }
        Action::ShowOnly => {
            let chosen = panel.chosen();
            show_where(panel, |i| Some(Some(i) == chosen));
        }
        Action::Select => {
            if let Some(i) = panel.chosen() {
                panel.runs[i].selected ^= true;
                panel.move_by(1);
            }
        }
        Action::SelectAll => {
            let listed = panel.listed().to_vec();
            let all = listed.iter().all(|i| panel.runs[*i].selected);
            listed.into_iter().for_each(|i| panel.runs[i].selected = !all);
        }
        Action::Pin => {
            let targets = panel.targets();
            let all = targets.iter().all(|i| panel.runs[*i].pinned);
            targets.iter().for_each(|i| panel.runs[*i].pinned = !all);
        }
        Action::Sort => panel.list.sort = panel.list.sort.next(),
        Action::Filter => {
            (panel.show_list, panel.focus) = (true, Focus::List);
            panel.begin_filter(Focus::List);
        }
        Action::OpenPage => return page::open(panel),
    }
    Vec::new()
}

/// Deselects all runs; returns whether any was selected.
pub(crate) fn deselect(panel: &mut Panel) -> bool {
    let any = panel.runs.iter().any(|run| run.selected);
    panel.runs.iter_mut().for_each(|run| run.selected = false);
    any
}

/// Shows or hides runs for the user, who has decided then even where nothing changes.
fn show_where(panel: &mut Panel, shown: impl Fn(usize) -> Option<bool>) {
    for (i, run) in panel.runs.iter_mut().enumerate() {
        if let Some(new) = shown(i) {
            (run.shown, run.said) = (new, Some(new));
        }
    }
    panel.refresh_metrics();
    panel.refresh_smoothed();
}
