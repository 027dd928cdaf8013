//! The training panel over the conversation.

use crate::tui::app::State;
use crate::tui::board::{Board, Effect as Wanted, Message, keep, update};
use crate::tui::effect::Effect;
use artgpt_runs::{Item, in_one_line};

pub fn open(state: &mut State) -> Vec<Effect> {
    let mut board = Board::new(state.theme.clone(), state.screen);
    (board.within, board.steers) = (true, true);
    board.colours = state.terminal.colours;
    board.cell = (!state.terminal.protocol.in_buffer()).then_some(state.terminal.cell);
    state.panel = Some(Box::new(board));
    vec![Effect::OpenPanel, Effect::Redraw]
}

/// Nothing where it is closed: what was on its way comes too late.
pub fn message(state: &mut State, message: Message) -> Vec<Effect> {
    let Some(board) = &mut state.panel else { return Vec::new() };
    let mut effects = Vec::new();
    for wanted in update(board, message) {
        match wanted {
            Wanted::Quit { .. } => {
                let kept = keep(board).map(Box::new);
                state.panel = None;
                effects.extend([Effect::ClosePanel(kept), Effect::Redraw]);
                return effects;
            }
            Wanted::Redraw => effects.push(Effect::Redraw),
            Wanted::Ring(text) => effects.push(Effect::Ring(text)),
            other => effects.push(Effect::Panel(other)),
        }
    }
    effects
}

/// Told in whatever is on the screen.
pub fn news(state: &mut State, items: Vec<Item>) -> Vec<Effect> {
    if state.panel.is_some() {
        return message(state, Message::News(items));
    }
    let Some(told) = in_one_line(&items) else { return Vec::new() };
    // An error that is not answered yet is not covered.
    if state.notice.as_ref().is_none_or(|notice| !notice.error) {
        state.tell(told.clone());
    }
    vec![Effect::Ring(told)]
}
