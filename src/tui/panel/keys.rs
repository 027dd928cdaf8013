//! Keys: which feature gets a key, and the keys that belong to none.

use crossterm::event::KeyEvent;

use super::effects::Effect;
use super::overlay::Overlay;
use super::state::{Focus, Panel};
use super::{chart, jobs, list, machine, notes, page, table};
use crate::tui::help::HelpWindow;
use crate::tui::keys::{Context, FilterAction, GlobalAction, PanelAction};

/// The contexts of the help window.
pub(super) const HELP: &[Context] = &[
    Context::Panel,
    Context::PanelRuns,
    Context::PanelList,
    Context::PanelCharts,
    Context::PanelChart,
    Context::PanelExport,
    Context::PanelTable,
    Context::PanelJobs,
    Context::Global,
];

/// What a key does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    Quit,
    Redraw,
    Help,
    /// Undo one thing: close the chart, clear filters, deselect, close the table.
    Back,
    SwitchFocus,
    ToggleList,
    ToggleGauges,
    /// A key typed into a filter.
    TypeFilter(KeyEvent),
    AcceptFilter,
    ClearFilter,
    List(list::Action),
    Table(table::Action),
    Chart(chart::Action),
    Page(page::Action),
    Jobs(jobs::Action),
    Notes(notes::Action),
    Machine(machine::Action),
    /// A key in the help window.
    HelpWindow(KeyEvent),
}

/// What a key does in the current state.
pub(crate) fn action(panel: &Panel, key: KeyEvent) -> Option<Action> {
    match panel.keymap.action::<GlobalAction>(&key) {
        Some(GlobalAction::Interrupt | GlobalAction::Quit) => return Some(Action::Quit),
        Some(GlobalAction::Redraw) => return Some(Action::Redraw),
        // The screens as a whole do this.
        Some(GlobalAction::Suspend) => return None,
        None => {}
    }
    if panel.filtering.is_some() {
        return Some(match panel.keymap.action::<FilterAction>(&key) {
            Some(FilterAction::Accept) => Action::AcceptFilter,
            Some(FilterAction::Clear) => Action::ClearFilter,
            None => Action::TypeFilter(key),
        });
    }
    if let Some(top) = panel.overlays.top() {
        return in_window(panel, top, key);
    }
    own(panel, key)
        .or_else(|| table::keys::action(panel, key).map(Action::Table))
        .or_else(|| list::keys::action(panel, key).map(Action::List))
        .or_else(|| chart::keys::action(panel, key).map(Action::Chart))
        .or_else(|| jobs::keys::action(panel, key).map(Action::Jobs))
}

/// The window on top gets all keys.
fn in_window(panel: &Panel, top: &Overlay, key: KeyEvent) -> Option<Action> {
    match top {
        Overlay::Help(_) => Some(Action::HelpWindow(key)),
        Overlay::Question(_) | Overlay::Form(_) => {
            jobs::keys::in_window(panel, top, key).map(Action::Jobs)
        }
        Overlay::Note(_) => Some(Action::Notes(notes::keys::action(panel, key))),
        Overlay::Machine(_) => machine::keys::action(panel, key).map(Action::Machine),
        Overlay::Page(page) => page::keys::action(panel, page, key).map(Action::Page),
    }
}

/// Keys that belong to no feature.
fn own(panel: &Panel, key: KeyEvent) -> Option<Action> {
    Some(match panel.keymap.action::<PanelAction>(&key)? {
        PanelAction::Quit => Action::Quit,
        PanelAction::Help => Action::Help,
        PanelAction::Back => Action::Back,
        PanelAction::SwitchFocus if panel.charts.open || panel.table.open => return None,
        PanelAction::SwitchFocus => Action::SwitchFocus,
        PanelAction::ToggleList if panel.table.open => return None,
        PanelAction::ToggleList => Action::ToggleList,
        PanelAction::ToggleLoad => Action::ToggleGauges,
        PanelAction::Table => Action::Table(table::Action::Toggle),
        PanelAction::Page => Action::List(list::Action::OpenPage),
        PanelAction::Note => Action::Notes(notes::Action::Open),
        PanelAction::Machine => Action::Machine(machine::Action::Open),
    })
}

/// Carries out an action.
pub(crate) fn apply(panel: &mut Panel, action: Action) -> Vec<Effect> {
    match action {
        Action::Quit => return vec![Effect::Quit { by_user: true }],
        Action::Redraw => return vec![Effect::Redraw],
        Action::Help => panel.overlays.push(Overlay::Help(Box::new(HelpWindow::new(HELP)))),
        Action::Back => back(panel),
        Action::SwitchFocus => {
            panel.focus = match panel.focus {
                Focus::List => Focus::Charts,
                Focus::Charts => Focus::List,
            };
            panel.show_list |= panel.focus == Focus::List;
        }
        Action::ToggleList => {
            panel.show_list ^= true;
            panel.focus = if panel.show_list { panel.focus } else { Focus::Charts };
        }
        Action::ToggleGauges => panel.show_gauges ^= true,
        Action::TypeFilter(key) => panel.type_filter(|input| input.key(key)),
        Action::AcceptFilter => panel.accept_filter(),
        Action::ClearFilter => panel.clear_filter(),
        Action::List(action) => return list::keys::apply(panel, action),
        Action::Table(action) => return table::keys::apply(panel, action),
        Action::Chart(action) => return chart::keys::apply(panel, action),
        Action::Page(action) => return page::keys::apply(panel, action),
        Action::Jobs(action) => return jobs::keys::apply(panel, action),
        Action::Notes(action) => return notes::keys::apply(panel, action),
        Action::Machine(action) => return machine::keys::apply(panel, action),
        Action::HelpWindow(key) => {
            let closes = panel
                .overlays
                .help_mut()
                .is_some_and(|help| help.key(&panel.keymap, panel.screen, key));
            if closes {
                panel.overlays.pop();
            }
        }
    }
    Vec::new()
}

fn back(panel: &mut Panel) {
    if panel.charts.open {
        // The reading cursor first, then the chart.
        panel.charts.open = panel.charts.reading.take().is_some();
    } else if !(panel.list.filter.is_empty() && panel.charts.filter.is_empty()) {
        panel.list.filter.clear();
        panel.charts.filter.clear();
        panel.refresh_metrics();
    } else if !list::keys::deselect(panel) {
        panel.table.open = false;
    }
}
