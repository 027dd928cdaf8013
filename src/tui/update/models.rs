//! Choosing another model.

use crossterm::event::KeyCode;

use super::keys::step;
use crate::tui::app::{ModelState, Popup, State};
use crate::tui::effect::Effect;
use artgpt_app::catalogue::Choice;
use artgpt_engine::ModelInfo;

pub fn window(state: &mut State) -> Vec<Effect> {
    state.popup = Some(Popup::Models { list: None, selected: 0 });
    vec![Effect::ListModels]
}

/// The one in use is among them, also where it was named by a path or is a server.
pub fn listed(state: &mut State, mut new: Vec<Choice>) -> Vec<Effect> {
    let mut current = 0;
    if let ModelState::Ready(ModelInfo { reference, name, .. }) = &state.model {
        current = new.iter().position(|c| c.reference == *reference).unwrap_or_else(|| {
            let (reference, heading) = (reference.clone(), name.clone());
            new.insert(0, Choice { reference, heading, description: "in use".into() });
            0
        });
    }
    if let Some(Popup::Models { list, selected }) = &mut state.popup {
        *selected = current;
        *list = Some(new);
    }
    Vec::new()
}

pub fn key(
    state: &mut State,
    list: Option<Vec<Choice>>,
    selected: usize,
    code: KeyCode,
) -> Vec<Effect> {
    let choices = list.as_deref().unwrap_or_default();
    if let (KeyCode::Enter, Some(choice)) = (code, choices.get(selected)) {
        return choose(state, choice.reference.clone());
    }
    let selected = step(selected, choices.len(), code);
    state.popup = Some(Popup::Models { list, selected });
    Vec::new()
}

/// Goes on with another model, which answers from the next question on. An answer that is being
/// made is ended by the one that began it.
pub fn choose(state: &mut State, reference: String) -> Vec<Effect> {
    state.model = ModelState::Preparing("changing the model".into());
    vec![Effect::UseModel(reference)]
}

/// The model is there; a session keeps which one it goes on with.
pub fn ready(state: &mut State, info: ModelInfo) -> Vec<Effect> {
    state.settings.model.clone_from(&info.reference);
    state.conversation.session.model.clone_from(&info.reference);
    // What was told before it is old, and so are the figures of another one.
    state.notice.take_if(|n| !n.error);
    if !matches!(&state.model, ModelState::Ready(before) if *before == info) {
        state.last_usage = None;
    }
    state.model = ModelState::Ready(info);
    Vec::new()
}

/// Another one could not be used.
pub fn kept(state: &mut State, info: ModelInfo, reason: &str) -> Vec<Effect> {
    let reason = artgpt_base::text::printable(reason);
    state.complain(format!("{reason}; {} stays", info.name));
    state.settings.model.clone_from(&info.reference);
    state.model = ModelState::Ready(info);
    Vec::new()
}
