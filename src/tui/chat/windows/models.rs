//! The window of models and training runs.

use crossterm::event::KeyEvent;
use ratatui::Frame;

use super::{Outcome, Overlay};
use crate::tui::chat::model;
use crate::tui::chat::state::{ModelState, State};
use crate::tui::components::{List, row, window};
use crate::tui::effect::Effect;
use crate::tui::keys::{Context, ListAction, ModelsAction};
use artgpt_app::catalogue::Choice;
use artgpt_base::text::printable;
use artgpt_engine::ModelInfo;

/// Columns for the name.
const NAME: usize = 28;

/// Models to choose from.
pub(crate) struct ModelsWindow {
    list: List<Choice>,
}

pub(in crate::tui::chat) fn open(state: &mut State) -> Vec<Effect> {
    state.overlays.push(Overlay::Models(ModelsWindow { list: List::loading() }));
    vec![Effect::ListModels]
}

/// The models are known. The one in use is among them, also where it was named by a path or is a
/// server.
pub(in crate::tui::chat) fn listed(state: &mut State, mut choices: Vec<Choice>) {
    let mut current = 0;
    if let ModelState::Ready(ModelInfo { reference, name, .. }) = &state.model {
        current = choices.iter().position(|c| c.reference == *reference).unwrap_or_else(|| {
            let (reference, heading) = (reference.clone(), name.clone());
            choices.insert(0, Choice { reference, heading, description: "in use".into() });
            0
        });
    }
    for overlay in &mut state.overlays {
        if let Overlay::Models(window) = overlay {
            window.list = List::new(choices);
            window.list.select(current);
            return;
        }
    }
}

impl ModelsWindow {
    pub(super) fn key(&mut self, state: &mut State, key: KeyEvent) -> Outcome {
        let keymap = state.keymap();
        match (keymap.action(&key), keymap.action(&key)) {
            (Some(ModelsAction::Take), _) => match self.list.selected() {
                Some(choice) => Outcome::Close(model::switch(state, choice.reference.clone())),
                None => Outcome::STAY,
            },
            (None, Some(ListAction::Close)) => Outcome::CLOSE,
            (None, Some(action)) => {
                self.list.apply(action);
                Outcome::STAY
            }
            (None, None) => Outcome::STAY,
        }
    }

    pub(super) fn view(&self, state: &State, frame: &mut Frame) {
        let theme = state.theme();
        let hints = state.ui.keymap.title_hints(Context::Models);
        let Some(inner) = window(&format!("Models and runs ({hints})"), theme, frame) else {
            return;
        };
        let line = |choice: &Choice| {
            let heading = printable(&choice.heading);
            let description = printable(&choice.description);
            row((&heading, theme.accent), NAME, (&description, theme.text))
        };
        self.list.draw(line, "no model is installed", theme, inner, frame);
    }
}
