//! A question is asked; its answer streams, ends, and becomes durable.

use super::state::{ModelState, State, Streaming};
use crate::tui::effect::Effect;
use crate::tui::keys::ChatAction;
use crate::tui::moment::Moment;
use artgpt_app::ask::answer_request;
use artgpt_chat::{Answer, FinishReason, Role, TurnRecord, Usage};
use artgpt_engine::Picture;

/// Sends the composer's text.
pub(super) fn ask(state: &mut State, at: &Moment) -> Vec<Effect> {
    let text = state.composer.text().trim().to_string();
    if text.is_empty() {
        return Vec::new();
    }
    if state.answer.is_some() {
        let stop = state.ui.keymap.shown(ChatAction::Stop);
        state.inform(format!("the answer is still being written; {stop} stops it"));
        return Vec::new();
    }
    if let ModelState::Unusable(reason) = &state.model {
        let reason = reason.clone();
        report_unusable(state, &reason);
        return Vec::new();
    }
    if !images_loaded(state) {
        return Vec::new();
    }
    let artworks = std::mem::take(&mut state.artwork.pending);
    let known = artworks.iter().filter_map(|i| state.conversation.session.artworks.get(*i));
    let mut effects: Vec<Effect> =
        known.map(|a| Effect::KeepPicture(a.path.clone(), a.sha256.clone())).collect();
    let question = state.conversation.user_turn_at(at.now, &text, artworks);
    state.conversation.session.updated = at.now;
    state.conversation.turns.push(question.clone());
    state.conversation.derive_title();
    state.composer.set("", &state.ui.theme);
    state.notice = None;
    let session = state.conversation.session.clone();
    effects.push(Effect::PutTurn(Box::new((session, question))));
    let turn = answer_turn(state, at);
    effects.extend(generate(state, turn));
    effects
}

/// Answers the last question again, as a branch beside the first answer.
pub(super) fn regenerate(state: &mut State, at: &Moment) -> Vec<Effect> {
    if matches!(state.model, ModelState::Unusable(_)) {
        state.model = ModelState::Preparing("starting".into());
        state.notice = None;
        return vec![Effect::ReloadModel];
    }
    if state.answer.is_some() {
        return Vec::new();
    }
    let path = state.conversation.path(None);
    let Some(question) = path.iter().rev().find(|t| t.role == Role::User).map(|t| t.seq) else {
        state.inform("there is no question yet");
        return Vec::new();
    };
    if !images_loaded(state) {
        return Vec::new();
    }
    let turn = TurnRecord { parent: Some(question), ..answer_turn(state, at) };
    generate(state, turn)
}

/// Shows why there is no model, and the key that loads it again.
pub(super) fn report_unusable(state: &mut State, reason: &str) {
    let key = state.ui.keymap.shown(ChatAction::Regenerate);
    state.report_error(format!("{reason}; {key} tries again"));
}

fn answer_turn(state: &State, at: &Moment) -> TurnRecord {
    state.conversation.assistant_turn_at(at.now, "")
}

/// Whether all images of the session are loaded; reports the first that is not.
fn images_loaded(state: &mut State) -> bool {
    let artworks = &state.conversation.session.artworks;
    let missing = artworks.iter().find(|a| !state.artwork.loaded.contains_key(&a.sha256));
    let Some(path) = missing.map(|a| a.path.display().to_string()) else { return true };
    state.report_error(format!("{path} is not loaded; wait a moment, or restore the file"));
    false
}

/// Starts the answer that `turn` will hold. All images are loaded.
fn generate(state: &mut State, turn: TurnRecord) -> Vec<Effect> {
    let session = state.conversation.session.clone();
    let loaded = session.artworks.iter().filter_map(|a| state.artwork.loaded.get(&a.sha256));
    let pictures: Vec<Picture> = loaded.map(|loaded| loaded.picture.clone()).collect();
    let (sampling, length) = (state.settings.sampling.clone(), state.settings.max_new_tokens);
    let request = answer_request(&state.conversation, turn.parent, pictures, sampling, length);
    state.next_request += 1;
    let id = state.next_request;
    state.answer = Some(Streaming {
        request: id,
        seq: turn.seq,
        text: String::new(),
        drafted: 0,
        tokens: None,
        tokens_per_second: None,
        usage: None,
        saving: false,
    });
    state.scroll = 0;
    state.conversation.turns.push(TurnRecord { complete: false, ..turn.clone() });
    vec![Effect::BeginDraft(Box::new((session, turn))), Effect::Generate(id, Box::new(request))]
}

pub(super) fn prefilled(state: &mut State, id: u64, usage: Usage) {
    let Some(answer) = current(state, id) else { return };
    answer.usage = Some(usage);
    // The status line now shows the answer's figures.
    state.notice.take_if(|notice| notice.of_model);
}

pub(super) fn text(
    state: &mut State,
    id: u64,
    text: &str,
    tokens: Option<usize>,
    rate: Option<f64>,
) {
    if let Some(answer) = current(state, id) {
        answer.text.push_str(text);
        answer.tokens = tokens;
        answer.tokens_per_second = rate;
    }
}

/// Once a second the new text goes to the draft on disk.
pub(super) fn tick(state: &mut State) -> Vec<Effect> {
    let Some(answer) = state.answer.as_mut().filter(|a| !a.saving) else { return Vec::new() };
    let new = answer.text[answer.drafted..].to_string();
    answer.drafted = answer.text.len();
    if new.is_empty() { Vec::new() } else { vec![Effect::AppendDraft(new)] }
}

/// The model is done. The turn shows as done when the store says so.
pub(super) fn finished(state: &mut State, at: &Moment, id: u64, made: &Answer) -> Vec<Effect> {
    let Some(streaming) = current(state, id) else { return Vec::new() };
    streaming.saving = true;
    streaming.text.clone_from(&made.text);
    let seq = streaming.seq;
    state.last_usage = Some((made.usage, made.timings.tokens_per_second));
    if made.dropped_turns > 0 {
        state.inform(format!(
            "the context window is full: the model no longer sees the {} oldest turn(s)",
            made.dropped_turns
        ));
    }
    state.conversation.session.updated = at.now;
    let session = state.conversation.session.clone();
    let finish = |turn: &mut TurnRecord| *turn = turn.clone().finished(made);
    let Some(turn) = state.conversation.turns.update(seq, finish) else { return Vec::new() };
    vec![Effect::PutTurn(Box::new((session, turn.clone())))]
}

pub(super) fn failed(state: &mut State, id: u64, reason: String) -> Vec<Effect> {
    let Some(streaming) = current(state, id) else { return Vec::new() };
    let (seq, text) = (streaming.seq, streaming.text.clone());
    state.answer = None;
    let failed = |turn: &mut TurnRecord| *turn = turn.clone().failed(&text, &reason);
    let effects = end(state, seq, failed);
    state.report_error(reason);
    effects
}

/// The turn is on disk.
pub(super) fn saved(state: &mut State, session: &str, seq: u64) {
    let done = state.conversation.session.id == session
        && state.answer.as_ref().is_some_and(|a| a.saving && a.seq == seq);
    if done {
        state.answer = None;
    }
}

/// The store failed: the answer stays on the screen, and the error is shown.
pub(super) fn not_saved(state: &mut State) {
    if state.answer.as_ref().is_some_and(|a| a.saving) {
        state.answer = None;
    }
}

/// Stops the answer, if one is being generated; the model then sends its last event.
pub(super) fn stop(state: &State) -> Option<Effect> {
    let answer = state.answer.as_ref().filter(|answer| !answer.saving)?;
    Some(Effect::StopAnswer(answer.request))
}

/// Ends an answer at once, because its session leaves the screen.
pub(super) fn cut_off(state: &mut State) -> Vec<Effect> {
    let Some(streaming) = state.answer.take().filter(|answer| !answer.saving) else {
        return Vec::new();
    };
    let mut effects = vec![Effect::StopAnswer(streaming.request)];
    effects.extend(keep_partial(state, streaming.seq, streaming.text));
    effects
}

fn keep_partial(state: &mut State, seq: u64, text: String) -> Vec<Effect> {
    let cancelled = |turn: &mut TurnRecord| {
        turn.text = text;
        turn.finish_reason = Some(FinishReason::Cancelled);
        turn.complete = true;
    };
    end(state, seq, cancelled)
}

/// Ends a turn without an answer, and stores it.
fn end(state: &mut State, seq: u64, change: impl FnOnce(&mut TurnRecord)) -> Vec<Effect> {
    let session = state.conversation.session.clone();
    let Some(turn) = state.conversation.turns.update(seq, change) else { return Vec::new() };
    vec![Effect::PutTurn(Box::new((session, turn.clone())))]
}

fn current(state: &mut State, id: u64) -> Option<&mut Streaming> {
    state.answer.as_mut().filter(|a| a.request == id && !a.saving)
}
