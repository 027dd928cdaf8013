//! Keys of the machine window.

use crossterm::event::KeyEvent;

use super::state::Order;
use crate::tui::keys::MachineAction;
use crate::tui::panel::effects::Effect;
use crate::tui::panel::overlay::Overlay;
use crate::tui::panel::state::Panel;

/// What the keys of the machine window do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Open,
    Close,
    Sort(Order),
    Scroll(isize),
    Top,
}

/// What a key does in the window.
pub(crate) fn action(panel: &Panel, key: KeyEvent) -> Option<Action> {
    let page = isize::try_from(panel.screen.height / 2).unwrap_or(1);
    Some(match panel.keymap.action::<MachineAction>(&key)? {
        MachineAction::Close => Action::Close,
        MachineAction::SortGpu => Action::Sort(Order::Gpu),
        MachineAction::SortCpu => Action::Sort(Order::Cpu),
        MachineAction::SortMemory => Action::Sort(Order::Memory),
        MachineAction::SortTime => Action::Sort(Order::Time),
        MachineAction::SortPid => Action::Sort(Order::Pid),
        MachineAction::Down => Action::Scroll(1),
        MachineAction::Up => Action::Scroll(-1),
        MachineAction::PageDown => Action::Scroll(page),
        MachineAction::PageUp => Action::Scroll(-page),
        MachineAction::Top => Action::Top,
    })
}

pub(crate) fn apply(panel: &mut Panel, action: Action) -> Vec<Effect> {
    match (action, panel.overlays.machine_mut()) {
        (Action::Open, _) => {
            panel.overlays.push(Overlay::Machine(Box::default()));
            return look(panel).into_iter().collect();
        }
        (Action::Close, _) => {
            panel.overlays.pop();
        }
        (Action::Sort(order), Some(window)) => window.sort(order),
        (Action::Scroll(by), Some(window)) => window.move_by(by),
        (Action::Top, Some(window)) => window.scroll = 0,
        (_, None) => {}
    }
    Vec::new()
}

/// Requests the processes for the open window, one request at a time.
pub(crate) fn look(panel: &mut Panel) -> Option<Effect> {
    let window = panel.overlays.machine_mut().filter(|window| !window.looking)?;
    window.looking = true;
    Some(Effect::ListProcesses)
}
