//! A question is asked, its answer streams, ends, and becomes durable.

use crate::tui::app::{ModelState, State, Streaming};
use crate::tui::effect::Effect;
use artgpt_chat::{Answer, FinishReason, Role, TurnRecord, Usage};
use artgpt_engine::{Cancel, Picture, Prompt, Request};

/// Sends the composer's text.
pub fn ask(state: &mut State) -> Vec<Effect> {
    let text = state.composer.lines().join("\n").trim().to_string();
    if text.is_empty() {
        return Vec::new();
    }
    if state.answer.is_some() {
        state.tell("the answer is still coming; Esc stops it");
        return Vec::new();
    }
    if let ModelState::Unusable(reason) = &state.model {
        let reason = reason.clone();
        state.complain(format!("{reason}; Ctrl-R tries again"));
        return Vec::new();
    }
    if !pictures_loaded(state) {
        return Vec::new();
    }
    let artworks = std::mem::take(&mut state.pending);
    let kept = artworks.iter().filter_map(|i| state.conversation.session.artworks.get(*i));
    let mut effects: Vec<Effect> =
        kept.map(|a| Effect::KeepPicture(a.path.clone(), a.sha256.clone())).collect();
    let question = state.conversation.user_turn(&text, artworks);
    state.conversation.session.updated = question.created;
    state.conversation.turns.push(question.clone());
    state.conversation.derive_title();
    state.composer = state.new_composer("");
    state.recall = None;
    state.notice = None;
    let session = state.conversation.session.clone();
    effects.push(Effect::PutTurn(Box::new((session, question))));
    let turn = state.conversation.assistant_turn("");
    effects.extend(generate(state, turn));
    effects
}

/// Another answer to the last question, as a branch beside the first.
pub fn regenerate(state: &mut State) -> Vec<Effect> {
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
        state.tell("there is no question yet");
        return Vec::new();
    };
    if !pictures_loaded(state) {
        return Vec::new();
    }
    let mut turn = state.conversation.assistant_turn("");
    turn.parent = Some(question);
    generate(state, turn)
}

/// Whether all pictures of the session are here; tells if not.
fn pictures_loaded(state: &mut State) -> bool {
    let missing = state
        .conversation
        .session
        .artworks
        .iter()
        .find(|a| !state.pictures.contains_key(&a.sha256))
        .map(|a| a.path.display().to_string());
    match missing {
        Some(path) => {
            state.complain(format!("{path} is not loaded; wait a moment, or put the file back"));
            false
        }
        None => true,
    }
}

/// Starts the answer that `turn` will hold. All pictures are loaded.
fn generate(state: &mut State, turn: TurnRecord) -> Vec<Effect> {
    let session = state.conversation.session.clone();
    let pictures: Vec<Picture> = session
        .artworks
        .iter()
        .filter_map(|a| state.pictures.get(&a.sha256))
        .map(|shown| shown.picture.clone())
        .collect();
    let request = Request {
        prompt: Prompt::Chat {
            system: session.system.clone(),
            turns: state.conversation.template_turns(turn.parent),
        },
        pictures,
        sampling: state.settings.sampling.clone(),
        max_new_tokens: state.settings.max_new_tokens,
    };
    let cancel = Cancel::default();
    state.next_request += 1;
    let id = state.next_request;
    state.answer = Some(Streaming {
        request: id,
        seq: turn.seq,
        text: String::new(),
        drafted: 0,
        tokens: 0,
        tokens_per_second: 0.0,
        usage: None,
        cancel: cancel.clone(),
        saving: false,
    });
    state.scroll = 0;
    state.conversation.turns.push(TurnRecord { complete: false, ..turn.clone() });
    vec![
        Effect::BeginDraft(Box::new((session, turn))),
        Effect::Generate(id, Box::new(request), cancel),
    ]
}

pub fn prefilled(state: &mut State, id: u64, usage: Usage) -> Vec<Effect> {
    if let Some(answer) = current(state, id) {
        answer.usage = Some(usage);
    }
    Vec::new()
}

pub fn text(state: &mut State, id: u64, text: &str, tokens: usize, rate: f64) -> Vec<Effect> {
    if let Some(answer) = current(state, id) {
        answer.text.push_str(text);
        answer.tokens = tokens;
        answer.tokens_per_second = rate;
    }
    Vec::new()
}

/// Once a second: what is new goes to disk.
pub fn tick(state: &mut State) -> Vec<Effect> {
    let Some(answer) = state.answer.as_mut().filter(|a| !a.saving) else { return Vec::new() };
    let new = answer.text[answer.drafted..].to_string();
    answer.drafted = answer.text.len();
    if new.is_empty() { Vec::new() } else { vec![Effect::AppendDraft(new)] }
}

/// The model is done. The turn shows as done when the store says so.
pub fn finished(state: &mut State, id: u64, made: &Answer) -> Vec<Effect> {
    let Some(streaming) = current(state, id) else { return Vec::new() };
    streaming.saving = true;
    streaming.text.clone_from(&made.text);
    let seq = streaming.seq;
    state.last_usage = Some((made.usage, made.timings.tokens_per_second));
    if made.dropped_turns > 0 {
        state.tell(format!(
            "the conversation is longer than the model reads: {} old turn(s) left out",
            made.dropped_turns
        ));
    }
    state.conversation.session.updated = jiff::Timestamp::now();
    let session = state.conversation.session.clone();
    let finish = |turn: &mut TurnRecord| *turn = turn.clone().finished(made);
    let Some(turn) = state.conversation.turns.update(seq, finish) else { return Vec::new() };
    vec![Effect::PutTurn(Box::new((session, turn.clone())))]
}

pub fn failed(state: &mut State, id: u64, reason: String) -> Vec<Effect> {
    let Some(streaming) = current(state, id) else { return Vec::new() };
    let (seq, text) = (streaming.seq, streaming.text.clone());
    state.answer = None;
    state.complain(reason);
    keep_partial(state, seq, text)
}

/// The turn is on disk.
pub fn saved(state: &mut State, session: &str, seq: u64) -> Vec<Effect> {
    let done = state.conversation.session.id == session
        && state.answer.as_ref().is_some_and(|a| a.saving && a.seq == seq);
    if done {
        state.answer = None;
    }
    Vec::new()
}

/// The store failed: the answer stays on the screen, and the user has been told.
pub fn not_saved(state: &mut State) {
    if state.answer.as_ref().is_some_and(|a| a.saving) {
        state.answer = None;
    }
}

/// Stops an answer; the model answers with its last event.
pub fn cancel(state: &mut State) -> bool {
    match &state.answer {
        Some(answer) if !answer.saving => {
            answer.cancel.cancel();
            true
        }
        _ => false,
    }
}

/// Ends an answer at once, because its session leaves the screen.
pub fn cut_off(state: &mut State) -> Vec<Effect> {
    let Some(streaming) = state.answer.take() else { return Vec::new() };
    streaming.cancel.cancel();
    if streaming.saving {
        return Vec::new();
    }
    keep_partial(state, streaming.seq, streaming.text)
}

fn keep_partial(state: &mut State, seq: u64, text: String) -> Vec<Effect> {
    let session = state.conversation.session.clone();
    let end = |turn: &mut TurnRecord| {
        turn.text = text;
        turn.finish_reason = Some(FinishReason::Cancelled);
        turn.complete = true;
    };
    let Some(turn) = state.conversation.turns.update(seq, end) else { return Vec::new() };
    vec![Effect::PutTurn(Box::new((session, turn.clone())))]
}

fn current(state: &mut State, id: u64) -> Option<&mut Streaming> {
    state.answer.as_mut().filter(|a| a.request == id && !a.saving)
}
