//! Loading a model, and switching to another one.

use super::answer;
use super::state::{ModelState, State};
use crate::tui::effect::Effect;
use crate::tui::moment::Moment;
use artgpt_base::mask::mask_url;
use artgpt_base::text::printable;
use artgpt_engine::{ModelInfo, WorkerEvent};
use artgpt_fetch::Progress;

/// Applies an event of the worker.
pub(super) fn event(state: &mut State, at: &Moment, event: WorkerEvent) -> Vec<Effect> {
    match event {
        WorkerEvent::Fetching(progress) => fetching(state, progress),
        WorkerEvent::Loading(stage, fraction) => {
            state.model = ModelState::Loading { part: stage.name(), fraction };
        }
        WorkerEvent::Ready(info) => ready(state, info),
        WorkerEvent::Notice(text) => state.model_news(text),
        WorkerEvent::SwitchFailed(info, reason) => kept(state, info, &reason),
        WorkerEvent::Unusable(reason) => {
            let reason = printable(&reason);
            answer::report_unusable(state, &reason);
            state.model = ModelState::Unusable(reason);
        }
        WorkerEvent::Prefilled(id, usage) => answer::prefilled(state, id, usage),
        WorkerEvent::Text(id, text, tokens, rate) => answer::text(state, id, &text, tokens, rate),
        WorkerEvent::Finished(id, made) => return answer::finished(state, at, id, &made),
        WorkerEvent::Failed(id, reason) => return answer::failed(state, id, reason),
    }
    Vec::new()
}

fn fetching(state: &mut State, progress: Progress) {
    match progress {
        Progress::File { name, bytes } => {
            state.model = ModelState::Fetching { name, done: 0, bytes };
        }
        Progress::Bytes(n) => {
            if let ModelState::Fetching { done, .. } = &mut state.model {
                *done = n;
            }
        }
        Progress::Step(step) => state.model = ModelState::Preparing(step),
    }
}

/// Switches to another model, which answers from the next question on. An answer that is being
/// generated is finished by the present one.
pub(super) fn switch(state: &mut State, reference: String) -> Vec<Effect> {
    state.model = ModelState::Preparing("switching the model".into());
    vec![Effect::UseModel(reference)]
}

/// The model is loaded; the session records which one answers.
fn ready(state: &mut State, info: ModelInfo) {
    state.settings.model.clone_from(&info.reference);
    // It is stored, and an address may hold a password.
    state.conversation.session.model = mask_url(&info.reference).into_owned();
    // An older message is out of date, and so are the figures of another model.
    state.notice.take_if(|n| !n.error);
    if !matches!(&state.model, ModelState::Ready(before) if *before == info) {
        state.last_usage = None;
    }
    state.model = ModelState::Ready(info);
}

/// The other model failed to load; the present one stays.
fn kept(state: &mut State, info: ModelInfo, reason: &str) {
    state.report_error(format!("{}; {} stays", printable(reason), info.name));
    state.settings.model.clone_from(&info.reference);
    state.model = ModelState::Ready(info);
}

#[cfg(test)]
mod tests {
    use crate::tui::chat::Message;
    use crate::tui::chat::tests::{answer, draw, press, state, type_text, update};
    use artgpt_engine::WorkerEvent;
    use crossterm::event::{KeyCode, KeyModifiers};

    #[test]
    fn what_a_models_files_hold_for_nothing_is_shown_when_it_is_ready() {
        let mut state = state(80, 24);
        let text = "nothing uses a.lora_A.weight in adapter_model.safetensors";
        update(&mut state, Message::Model(WorkerEvent::Notice(text.into())));
        assert!(draw(&state).contains(text), "{}", draw(&state));
    }

    #[test]
    fn a_models_notice_covers_no_error() {
        let mut state = state(80, 24);
        state.report_error("there is no file at no.png");
        update(&mut state, Message::Model(WorkerEvent::Notice("1 row stands for no token".into())));
        let screen = draw(&state);
        assert!(screen.contains("no.png") && !screen.contains("no token"), "{screen}");
    }

    #[test]
    fn a_models_notice_makes_room_for_the_answers_figures() {
        let mut state = state(80, 24);
        type_text(&mut state, "What is it?");
        press(&mut state, KeyCode::Enter, KeyModifiers::NONE);
        let id = state.next_request;
        let text = "1 row stands for no token";
        update(&mut state, Message::Model(WorkerEvent::Notice(text.into())));
        assert!(draw(&state).contains(text), "{}", draw(&state));
        update(&mut state, Message::Model(WorkerEvent::Prefilled(id, answer("").usage)));
        let screen = draw(&state);
        assert!(screen.contains("stops") && !screen.contains(text), "{screen}");
    }

    #[test]
    fn news_of_a_run_stay_when_the_answers_figures_come() {
        let mut state = state(80, 24);
        type_text(&mut state, "What is it?");
        press(&mut state, KeyCode::Enter, KeyModifiers::NONE);
        let id = state.next_request;
        update(&mut state, Message::Model(WorkerEvent::Notice("1 row stands for no token".into())));
        state.news("run 01AB has finished");
        update(&mut state, Message::Model(WorkerEvent::Prefilled(id, answer("").usage)));
        let screen = draw(&state);
        assert!(screen.contains("run 01AB has finished"), "{screen}");
    }
}
