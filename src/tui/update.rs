//! State changes. Pure: what has to happen outside comes back as effects.

mod answer;
mod artwork;
mod keys;
mod models;
mod panel;
mod session;

pub use artwork::picture_cells;

use super::app::{ModelState, State};
use super::board;
use super::effect::{Effect, Ended};
use super::message::Message;
use super::view::layout::{composer_rows, layout};
use artgpt_app::settings::Settings;
use artgpt_engine::WorkerEvent as Event;
use artgpt_fetch::Progress;
use artgpt_store::StoreEvent;

/// Applies one message.
pub fn update(state: &mut State, message: Message) -> Vec<Effect> {
    let mut effects = apply(state, message);
    effects.extend(artwork::scale_if_needed(state));
    effects
}

fn apply(state: &mut State, message: Message) -> Vec<Effect> {
    match message {
        Message::Key(key) => keys::key(state, key),
        Message::Paste(text) => keys::paste(state, &text),
        Message::Resize(width, height) => {
            state.screen = ratatui::layout::Rect::new(0, 0, width, height);
            clamp_scroll(state);
            panel::message(state, board::Message::Resize(width, height));
            // The terminal may have moved or dropped a picture by itself.
            vec![Effect::Redraw]
        }
        Message::Model(event) => model(state, event),
        Message::Store(event) => store(state, event),
        Message::Opened(opened) => artwork::opened(state, *opened),
        Message::NotOpened(reason) => {
            state.complain(reason);
            Vec::new()
        }
        Message::Completed(text, found) => artwork::completed(state, &text, found),
        Message::Models(list) => models::listed(state, list),
        Message::Scaled(scaled) => {
            // Scalings overtake one another while a window is dragged.
            let wanted = state.scaling.as_ref();
            if wanted.is_some_and(|(key, size)| *key == scaled.sha256 && *size == scaled.size) {
                state.scaled = Some(scaled);
            }
            Vec::new()
        }
        Message::Settings(pair) => {
            let (settings, theme) = *pair;
            let text = state.composer.lines().join("\n");
            // Not the one in use, which may have been chosen since.
            let model_changed = settings.model != state.configured_model;
            state.configured_model.clone_from(&settings.model);
            let in_use = std::mem::take(&mut state.settings.model);
            state.settings = Settings { model: in_use, ..settings };
            state.theme = theme;
            state.composer = state.new_composer(&text);
            state.tell("settings read again");
            match model_changed {
                true => models::choose(state, state.configured_model.clone()),
                false => Vec::new(),
            }
        }
        Message::Notice(text) => {
            state.complain(text);
            Vec::new()
        }
        Message::News(items) => panel::news(state, items),
        Message::Panel(message) => panel::message(state, *message),
        Message::Tick => {
            let mut effects = answer::tick(state);
            effects.extend(panel::message(state, board::Message::Tick));
            effects
        }
        Message::Terminate => quit(state, Ended::BySystem),
    }
}

fn model(state: &mut State, event: Event) -> Vec<Effect> {
    match event {
        Event::Fetching(progress) => {
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
            Vec::new()
        }
        Event::Loading(stage, fraction) => {
            state.model = ModelState::Loading { part: stage.name(), fraction };
            Vec::new()
        }
        Event::Ready(info) => models::ready(state, info),
        Event::SwitchFailed(info, reason) => models::kept(state, info, &reason),
        Event::Unusable(reason) => {
            let reason = artgpt_base::text::printable(&reason);
            state.complain(format!("{reason}; Ctrl-R tries again"));
            state.model = ModelState::Unusable(reason);
            Vec::new()
        }
        Event::Prefilled(id, usage) => answer::prefilled(state, id, usage),
        Event::Text(id, text, tokens, rate) => answer::text(state, id, &text, tokens, rate),
        Event::Finished(id, made) => answer::finished(state, id, &made),
        Event::Failed(id, reason) => answer::failed(state, id, reason),
    }
}

fn store(state: &mut State, event: StoreEvent) -> Vec<Effect> {
    match event {
        StoreEvent::Opened(notice) => {
            if let Some(notice) = notice {
                state.tell(notice);
            }
            Vec::new()
        }
        StoreEvent::ReadOnly(reason) => {
            state.complain(format!("not saved: {reason}"));
            state.unsaved = Some(reason);
            Vec::new()
        }
        StoreEvent::Sessions(list) => session::listed(state, list),
        StoreEvent::Loaded(conversation) => session::loaded(state, *conversation),
        StoreEvent::Saved { session, seq } => answer::saved(state, &session, seq),
        StoreEvent::NotLoaded(reason) => {
            state.complain(reason);
            state.open_after_loading.take().map(Effect::OpenArtwork).into_iter().collect()
        }
        StoreEvent::Failed(reason) => {
            state.complain(format!("not saved: {reason}"));
            answer::not_saved(state);
            Vec::new()
        }
    }
}

/// Ends the program; an answer in the making is kept as far as it came.
fn quit(state: &mut State, ended: Ended) -> Vec<Effect> {
    let mut effects = answer::cut_off(state);
    effects.push(Effect::Quit(ended));
    effects
}

/// Keeps the scroll position inside the conversation.
fn clamp_scroll(state: &mut State) {
    let areas = layout(state.screen, state.shown.is_some(), composer_rows(state));
    let height = usize::from(areas.conversation.height);
    let total = super::view::conversation::line_count(state, areas.conversation.width);
    state.scroll = state.scroll.min(total.saturating_sub(height));
}

fn scroll(state: &mut State, lines: isize) {
    state.scroll = state.scroll.saturating_add_signed(lines);
    clamp_scroll(state);
}

/// Lines of a page.
fn page(state: &State) -> isize {
    let areas = layout(state.screen, state.shown.is_some(), composer_rows(state));
    isize::try_from(areas.conversation.height.saturating_sub(1)).unwrap_or(1)
}

#[cfg(test)]
pub(super) mod tests;
