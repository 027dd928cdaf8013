//! The window of models and training runs.

use crossterm::event::KeyEvent;
use ratatui::Frame;

use super::{Outcome, Overlay};
use crate::tui::chat::model;
use crate::tui::chat::state::{ModelState, State};
use crate::tui::components::{List, ListKey, row, window};
use crate::tui::effect::Effect;
use crate::tui::keys::{Context, ModelsAction};
use artgpt_app::catalogue::Choice;
use artgpt_base::text::printable;
use artgpt_engine::ModelInfo;

/// Columns for the name.
const NAME: usize = 28;

/// Models to choose from.
pub(crate) struct ModelsWindow {
    list: List<Choice>,
    /// The list is on its way.
    reading: bool,
}

pub(in crate::tui::chat) fn open(state: &mut State) -> Vec<Effect> {
    state.overlays.push(Overlay::Models(ModelsWindow { list: List::loading(), reading: true }));
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
    for overlay in state.overlays.iter_mut() {
        if let Overlay::Models(window) = overlay {
            window.reading = false;
            // A model that was installed meanwhile moves no selection.
            let before = window.list.selected().map(|choice| choice.reference.clone());
            let same = |choice: &Choice| before.as_ref() == Some(&choice.reference);
            let selected = choices.iter().position(same).unwrap_or(current);
            window.list = List::new(choices);
            window.list.select(selected);
            return;
        }
    }
}

impl ModelsWindow {
    /// Asks for the list once more: another process may have installed a model.
    pub(super) fn read_again(&mut self) -> Vec<Effect> {
        match std::mem::replace(&mut self.reading, true) {
            true => Vec::new(),
            false => vec![Effect::ListModels],
        }
    }

    pub(super) fn key(&mut self, state: &mut State, key: KeyEvent) -> Outcome {
        let keymap = state.keymap();
        match self.list.key(&keymap, &key) {
            ListKey::Own(ModelsAction::Take) => match self.list.selected() {
                Some(choice) => Outcome::Close(model::switch(state, choice.reference.clone())),
                None => Outcome::STAY,
            },
            ListKey::Close => Outcome::CLOSE,
            ListKey::Done => Outcome::STAY,
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
