//! Keys of the table.

use crossterm::event::KeyEvent;

use crate::tui::keys::TableAction;
use crate::tui::panel::chart::choose_chart;
use crate::tui::panel::effects::Effect;
use crate::tui::panel::state::Panel;

/// What the keys of the table do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Open or close the table.
    Toggle,
    /// Scroll by columns.
    Column(isize),
    /// Show the values of another metric.
    Metric(isize),
}

pub(crate) fn action(panel: &Panel, key: KeyEvent) -> Option<Action> {
    if !panel.table.open {
        return None;
    }
    // The others move through the runs, which the list does.
    Some(match panel.keymap.action::<TableAction>(&key)? {
        TableAction::Left => Action::Column(-1),
        TableAction::Right => Action::Column(1),
        TableAction::PreviousMetric => Action::Metric(-1),
        TableAction::NextMetric => Action::Metric(1),
        _ => return None,
    })
}

pub(crate) fn apply(panel: &mut Panel, action: Action) -> Vec<Effect> {
    match action {
        Action::Toggle => {
            panel.table.open ^= true;
            panel.charts.open &= !panel.table.open;
        }
        Action::Column(by) => {
            let last = panel.table.columns() - 1;
            let column = panel.table.column.min(last);
            panel.table.column = column.saturating_add_signed(by).min(last);
        }
        Action::Metric(by) => choose_chart(panel, by),
    }
    Vec::new()
}
