//! The chat as a whole: what messages and keys make of it.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use image::RgbImage;
use ratatui::Terminal as Ratatui;
use ratatui::backend::TestBackend;
use ratatui::layout::Rect;

use super::*;
use crate::tui::chat::state::ModelState;
use crate::tui::chat::windows::Overlay;
use crate::tui::effect::{Effect, Ended};
use crate::tui::graphics::{ColourDepth, Protocol};
use crate::tui::keys::Keymap;
use crate::tui::moment::Moment;
use crate::tui::theme::Theme;
use crate::tui::ui::{Terminal, Ui};
use artgpt_app::catalogue::Choice;
use artgpt_app::settings::Settings;
use artgpt_art::{FormalFeatures, View};
use artgpt_chat::{Answer, FinishReason, Role, Session, Timings, Usage};
use artgpt_engine::{ModelInfo, Picture, WorkerEvent};
use artgpt_fetch::Progress;
use artgpt_store::StoreEvent;

mod ends;
mod screens;

/// The same time for every message.
pub(crate) fn moment() -> Moment {
    Moment {
        system_time: std::time::UNIX_EPOCH,
        now: "2026-01-02T03:04:05Z".parse().expect("a time"),
        id: ulid::Ulid::from_parts(1, 2),
    }
}

pub(crate) fn state(width: u16, height: u16) -> State {
    let terminal =
        Terminal { protocol: Protocol::Blocks, colours: ColourDepth::True, cell: (8, 16) };
    let screen = Rect::new(0, 0, width, height);
    let keymap = Arc::new(Keymap::default());
    let ui = Ui { screen, terminal, theme: Theme::plain(), keymap, zone: jiff::tz::TimeZone::UTC };
    let mut state = State::new(Settings::default(), ui);
    let name = String::from("artgpt-smol");
    let info = ModelInfo { reference: name.clone(), name, sees: true, questions: Vec::new() };
    update(&mut state, Message::Model(WorkerEvent::Ready(info)));
    state
}

/// Applies a message as the loop does.
pub(crate) fn update(state: &mut State, message: Message) -> Vec<Effect> {
    let mut effects = super::update(state, &moment(), message);
    effects.extend(scale_if_needed(state));
    effects
}

pub(crate) fn press(state: &mut State, code: KeyCode, modifiers: KeyModifiers) -> Vec<Effect> {
    on_key(state, &moment(), KeyEvent::new(code, modifiers))
}

pub(crate) fn type_text(state: &mut State, text: &str) {
    for c in text.chars() {
        press(state, KeyCode::Char(c), KeyModifiers::NONE);
    }
}

/// The screen as text.
pub(crate) fn draw(state: &State) -> String {
    let screen = state.ui.screen;
    let backend = TestBackend::new(screen.width, screen.height);
    let mut terminal = Ratatui::new(backend).expect("a test terminal");
    terminal.draw(|frame| view(state, frame)).expect("draws");
    terminal.backend().to_string()
}

pub(crate) fn open(state: &mut State, name: &str) -> Vec<Effect> {
    let image = RgbImage::from_pixel(64, 32, image::Rgb([200, 30, 20]));
    let image = Arc::new(image);
    let opened = Opened {
        path: format!("/art/{name}").into(),
        sha256: name.into(),
        label: None,
        notes: vec![],
        picture: Picture { key: name.into(), image: image.clone() },
        features: FormalFeatures::measure(&View::whole(&image)),
        image,
        resumed: None,
    };
    update(state, Message::Opened(Box::new(opened)))
}

pub(crate) fn answer(text: &str) -> Answer {
    let [prompt_tokens, cached_tokens, image_tokens, answer_tokens] = [90, 60, 32, 2].map(Some);
    Answer {
        text: text.into(),
        token_ids: vec![1, 2],
        finish_reason: FinishReason::Stop,
        usage: Usage { prompt_tokens, cached_tokens, image_tokens, answer_tokens },
        timings: Timings { tokens_per_second: Some(50.0), ..Timings::default() },
        dropped_turns: 0,
    }
}

/// Asks and answers one round.
pub(crate) fn round(state: &mut State, question: &str, text: &str) {
    type_text(state, question);
    press(state, KeyCode::Enter, KeyModifiers::NONE);
    let id = state.next_request;
    let made = answer(text);
    update(state, Message::Model(WorkerEvent::Prefilled(id, made.usage)));
    update(state, Message::Model(WorkerEvent::Text(id, text.into(), Some(2), Some(50.0))));
    update(state, Message::Model(WorkerEvent::Finished(id, Box::new(made))));
    let (session, seq) =
        (state.conversation.session.id.clone(), state.answer.as_ref().expect("saving").seq);
    update(state, Message::Store(StoreEvent::Saved { session, seq }));
}

/// A state with an artwork, scaled as the services do, and two rounds.
pub(crate) fn conversation(width: u16, height: u16) -> State {
    let mut s = state(width, height);
    open(&mut s, "night.png");
    if let Some((sha256, size)) = s.artwork.requested.clone() {
        let image = image::RgbImage::from_pixel(size.0, size.1, image::Rgb([200, 30, 20]));
        let image = std::sync::Arc::new(image);
        update(&mut s, Message::Scaled(Scaled { sha256, size, image }));
    }
    round(&mut s, "What is the palette?", "Mostly red, with black.");
    round(
        &mut s,
        "Describe this painting.",
        "A landscape. Mostly red. The light is low key, the contrast strong. The colours are warm and vivid.",
    );
    s
}

#[test]
fn a_question_carries_the_new_artwork_once() {
    let mut s = state(80, 24);
    let effects = open(&mut s, "a.png");
    assert!(effects.iter().any(|e| matches!(e, Effect::Scale { .. })));
    round(&mut s, "what is it?", "A portrait.");
    assert_eq!(s.conversation.turns[0].artworks, [0]);
    round(&mut s, "and now?", "Red.");
    assert!(s.conversation.turns[2].artworks.is_empty());
    assert_eq!(s.conversation.turns.len(), 4);
    // The same artwork again is not shown twice.
    open(&mut s, "a.png");
    assert!(s.artwork.pending.is_empty());
}

#[test]
fn the_question_is_stored_before_the_model_is_asked() {
    let mut s = state(80, 24);
    type_text(&mut s, "hello");
    let effects = press(&mut s, KeyCode::Enter, KeyModifiers::NONE);
    let order: Vec<_> = effects
        .iter()
        .map(|e| match e {
            Effect::PutTurn(pair) => format!("put {}", pair.1.seq),
            Effect::BeginDraft(pair) => format!("draft {}", pair.1.seq),
            Effect::Generate(..) => "generate".into(),
            e => format!("{e:?}"),
        })
        .collect();
    assert_eq!(order, ["put 0", "draft 1", "generate"]);
    assert!(s.composer.text().is_empty());
}

#[test]
fn an_answer_is_done_only_when_it_is_durable() {
    let mut s = state(80, 24);
    type_text(&mut s, "hello");
    press(&mut s, KeyCode::Enter, KeyModifiers::NONE);
    update(&mut s, Message::Model(WorkerEvent::Text(1, "Good".into(), Some(1), Some(9.0))));
    assert!(matches!(&tick(&mut s)[..], [Effect::AppendDraft(t)] if t == "Good"));
    assert!(tick(&mut s).is_empty(), "nothing new, nothing written");
    let effects =
        update(&mut s, Message::Model(WorkerEvent::Finished(1, Box::new(answer("Good day.")))));
    assert!(matches!(&effects[..], [Effect::PutTurn(p)] if p.1.text == "Good day."));
    assert!(s.answer.is_some());
    let session = s.conversation.session.id.clone();
    update(&mut s, Message::Store(StoreEvent::Saved { session, seq: 1 }));
    assert!(s.answer.is_none());
}

#[test]
fn esc_cancels_and_late_text_of_another_answer_is_ignored() {
    let mut s = state(80, 24);
    type_text(&mut s, "hello");
    press(&mut s, KeyCode::Enter, KeyModifiers::NONE);
    let effects = press(&mut s, KeyCode::Esc, KeyModifiers::NONE);
    assert!(matches!(&effects[..], [Effect::StopAnswer(_)]));
    update(&mut s, Message::Model(WorkerEvent::Text(99, "other".into(), Some(1), Some(1.0))));
    assert_eq!(s.answer.as_ref().expect("runs").text, "");
}

#[test]
fn quitting_in_mid_answer_keeps_what_came() {
    let mut s = state(80, 24);
    type_text(&mut s, "hello");
    press(&mut s, KeyCode::Enter, KeyModifiers::NONE);
    update(&mut s, Message::Model(WorkerEvent::Text(1, "Half an ans".into(), Some(3), Some(9.0))));
    let effects = press(&mut s, KeyCode::Char('q'), KeyModifiers::CONTROL);
    assert!(
        matches!(&effects[..], [Effect::StopAnswer(_), Effect::PutTurn(p), Effect::Quit(Ended::ByUser)] if p.1.text == "Half an ans")
    );
}

#[test]
fn another_answer_is_a_branch_beside_the_first() {
    let mut s = state(80, 24);
    round(&mut s, "what?", "First.");
    let effects = press(&mut s, KeyCode::Char('r'), KeyModifiers::CONTROL);
    assert!(matches!(effects.last(), Some(Effect::Generate(..))));
    let id = s.next_request;
    update(&mut s, Message::Model(WorkerEvent::Finished(id, Box::new(answer("Second.")))));
    let texts: Vec<_> = s.conversation.path(None).iter().map(|t| t.text.clone()).collect();
    assert_eq!(texts, ["what?", "Second."]);
    assert_eq!(s.conversation.turns.len(), 3);
}

#[test]
fn up_recalls_earlier_questions_and_typing_is_never_lost() {
    let mut s = state(80, 24);
    round(&mut s, "one", "1");
    round(&mut s, "two", "2");
    press(&mut s, KeyCode::Up, KeyModifiers::NONE);
    assert_eq!(s.composer.text(), "two");
    press(&mut s, KeyCode::Up, KeyModifiers::NONE);
    assert_eq!(s.composer.text(), "one");
    press(&mut s, KeyCode::Down, KeyModifiers::NONE);
    press(&mut s, KeyCode::Down, KeyModifiers::NONE);
    assert!(s.composer.text().is_empty());
    type_text(&mut s, "mine");
    press(&mut s, KeyCode::Up, KeyModifiers::NONE);
    assert_eq!(s.composer.text(), "mine");
}

#[test]
fn a_path_is_completed_and_opened() {
    let mut s = state(80, 24);
    press(&mut s, KeyCode::Char('o'), KeyModifiers::CONTROL);
    type_text(&mut s, "/a");
    let found = vec!["/art/a.png".into(), "/art/b.png".into()];
    update(&mut s, Message::Completed("/a".into(), found.clone()));
    press(&mut s, KeyCode::Tab, KeyModifiers::NONE);
    let Some(Overlay::Open(window)) = s.overlays.top() else { panic!("closed") };
    assert_eq!(window.text(), "/art/");
    // An answer to an older text is ignored.
    update(&mut s, Message::Completed("/a".into(), vec!["/x".into()]));
    update(&mut s, Message::Completed("/art/".into(), found));
    press(&mut s, KeyCode::Down, KeyModifiers::NONE);
    press(&mut s, KeyCode::Down, KeyModifiers::NONE);
    let effects = press(&mut s, KeyCode::Enter, KeyModifiers::NONE);
    assert!(matches!(&effects[..], [Effect::OpenArtwork(p)] if p.ends_with("b.png")));
}

/// Over SSH a burst of keys comes before the disk has answered.
#[test]
fn keys_wait_for_the_candidates_of_what_was_typed() {
    let mut s = state(80, 24);
    press(&mut s, KeyCode::Char('o'), KeyModifiers::CONTROL);
    let old = vec!["/art/1.png".into(), "/art/2.png".into()];
    update(&mut s, Message::Completed(String::new(), old));
    type_text(&mut s, "/art/43");
    assert!(press(&mut s, KeyCode::Down, KeyModifiers::NONE).is_empty());
    assert!(press(&mut s, KeyCode::Enter, KeyModifiers::NONE).is_empty());
    let found = vec!["/art/43a.png".into(), "/art/43b.png".into()];
    let effects = update(&mut s, Message::Completed("/art/43".into(), found.clone()));
    assert!(matches!(&effects[..], [Effect::OpenArtwork(p)] if p.ends_with("43a.png")));

    // What is not chosen among several is asked for; the only one is taken.
    press(&mut s, KeyCode::Char('o'), KeyModifiers::CONTROL);
    type_text(&mut s, "/art/43");
    update(&mut s, Message::Completed("/art/43".into(), found));
    assert!(press(&mut s, KeyCode::Enter, KeyModifiers::NONE).is_empty());
    assert!(matches!(s.overlays.top(), Some(Overlay::Open(window)) if window.text() == "/art/43"));
    type_text(&mut s, "b");
    update(&mut s, Message::Completed("/art/43b".into(), vec!["/art/43b.png".into()]));
    let effects = press(&mut s, KeyCode::Enter, KeyModifiers::NONE);
    assert!(matches!(&effects[..], [Effect::OpenArtwork(p)] if p.ends_with("43b.png")));
}

#[test]
fn the_picture_on_the_screen_is_the_one_that_is_asked_about() {
    let mut s = state(80, 24);
    let asked = |s: &State| s.conversation.path(None).last().map(|t| t.seq);
    let about = |s: &mut State, text: &str| {
        round(s, text, "Red.");
        let path = s.conversation.path(asked(s));
        path.iter().rev().find(|t| t.role == Role::User).expect("a question").artworks.clone()
    };
    // One that was opened by mistake is not sent along.
    open(&mut s, "mistake.png");
    open(&mut s, "horse.png");
    assert_eq!(about(&mut s, "what?"), [1]);
    open(&mut s, "toledo.png");
    assert_eq!(about(&mut s, "and this?"), [2]);
    assert_eq!(about(&mut s, "more?"), Vec::<usize>::new());
    // Opened again, it is shown to the model again.
    open(&mut s, "horse.png");
    assert_eq!((s.artwork.shown, about(&mut s, "who?")), (Some(1), vec![1]));
    // Alt-Enter puts one beside the other.
    open(&mut s, "a.png");
    press(&mut s, KeyCode::Char('o'), KeyModifiers::CONTROL);
    type_text(&mut s, "/b.png");
    update(&mut s, Message::Completed("/b.png".into(), vec!["/b.png".into()]));
    press(&mut s, KeyCode::Enter, KeyModifiers::ALT);
    open(&mut s, "b.png");
    assert_eq!(about(&mut s, "compare"), [3, 4]);
}

#[test]
fn a_resumed_session_opens_its_artworks_again() {
    let mut s = state(80, 24);
    open(&mut s, "a.png");
    round(&mut s, "what?", "Red.");
    let stored = s.conversation.clone();
    press(&mut s, KeyCode::Char('n'), KeyModifiers::CONTROL);
    assert!(s.conversation.turns.is_empty());
    assert_eq!(s.artwork.pending, [0], "the picture on the screen stays");
    let effects = update(&mut s, Message::Store(StoreEvent::Loaded(Box::new(stored.clone()))));
    assert!(effects.iter().any(|e| matches!(e, Effect::ResumeArtwork(_, _, 0))));
    assert_eq!(s.conversation, stored);
    assert!(s.artwork.pending.is_empty());
}

#[test]
fn deleting_a_session_asks_first() {
    let mut s = state(80, 24);
    round(&mut s, "what?", "Red.");
    let other = Session::new("m", None);
    press(&mut s, KeyCode::Char('t'), KeyModifiers::CONTROL);
    update(&mut s, Message::Store(StoreEvent::Sessions(vec![other.clone()])));
    let d = |s: &mut State| press(s, KeyCode::Char('d'), KeyModifiers::NONE);
    assert!(d(&mut s).is_empty());
    assert!(matches!(&d(&mut s)[..], [Effect::RemoveSession(id)] if *id == other.id));
}

#[test]
fn a_store_that_fails_is_told_and_the_answer_stays() {
    let mut s = state(80, 24);
    type_text(&mut s, "hello");
    press(&mut s, KeyCode::Enter, KeyModifiers::NONE);
    update(&mut s, Message::Model(WorkerEvent::Finished(1, Box::new(answer("Good day.")))));
    update(&mut s, Message::Store(StoreEvent::Failed("no space left on device".into())));
    assert!(s.answer.is_none());
    assert_eq!(s.conversation.path(None).last().expect("answer").text, "Good day.");
    let notice = s.notice.as_ref().expect("says so");
    assert!(notice.error && notice.text.contains("no space left"));
}

#[test]
fn control_characters_in_messages_never_reach_the_screen() {
    let mut s = state(80, 24);
    update(&mut s, Message::NotOpened("no file at \u{1b}[2Jx".into()));
    assert!(!s.notice.as_ref().expect("says so").text.contains('\u{1b}'));
    assert_eq!(s.conversation.turns.iter().filter(|t| t.role == Role::User).count(), 0);
}

#[test]
fn another_model_answers_from_the_next_question_on() {
    let mut s = state(80, 24);
    let choice = |reference: &str| Choice {
        reference: reference.into(),
        heading: reference.into(),
        description: String::new(),
    };
    let choose = |s: &mut State| {
        let effects = press(s, KeyCode::F(2), KeyModifiers::NONE);
        assert!(matches!(&effects[..], [Effect::ListModels]));
        update(s, Message::Models(vec![choice("artgpt-smol"), choice("runs/1")]));
        press(s, KeyCode::Down, KeyModifiers::NONE);
        press(s, KeyCode::Enter, KeyModifiers::NONE)
    };
    let effects = choose(&mut s);
    assert!(matches!(&effects[..], [Effect::UseModel(path)] if path == "runs/1"));
    let info = |name: &str| ModelInfo {
        reference: name.into(),
        name: name.into(),
        sees: true,
        questions: Vec::new(),
    };
    update(&mut s, Message::Model(WorkerEvent::Ready(info("runs/1"))));
    assert_eq!(s.conversation.session.model, "runs/1");
    assert_eq!(s.settings.model, "runs/1");

    // One that cannot be used leaves the other where it was, and says why.
    update(
        &mut s,
        Message::Model(WorkerEvent::SwitchFailed(info("runs/1"), "a file is damaged".into())),
    );
    let notice = s.notice.clone().expect("says so");
    assert!(notice.error && notice.text.contains("damaged; runs/1 stays"), "{}", notice.text);
    assert!(matches!(&s.model, ModelState::Ready(i) if i.name == "runs/1"));

    // Files that name the model they named before do not undo the choice; another one does.
    let settings = |s: &State, model: &str| {
        let settings = artgpt_app::settings::Settings { model: model.into(), ..s.settings.clone() };
        let (theme, keymap) = (s.ui.theme.clone(), Keymap::default());
        Message::Reloaded(Box::new(Reloaded { settings, theme, keymap }))
    };
    let same = settings(&s, "artgpt-smol");
    assert!(update(&mut s, same).is_empty());
    assert_eq!(s.settings.model, "runs/1");
    let other = settings(&s, "runs/2");
    let effects = update(&mut s, other);
    assert!(matches!(&effects[..], [Effect::UseModel(path)] if path == "runs/2"));

    // One that was named by a path is in the list.
    update(&mut s, Message::Model(WorkerEvent::Ready(info("/models/vicuna"))));
    press(&mut s, KeyCode::F(2), KeyModifiers::NONE);
    update(&mut s, Message::Models(vec![choice("artgpt-smol")]));
    let effects = press(&mut s, KeyCode::Enter, KeyModifiers::NONE);
    assert!(matches!(&effects[..], [Effect::UseModel(path)] if path == "/models/vicuna"));
}

#[test]
fn fetching_and_a_failure() {
    let mut s = state(80, 24);
    let file = Progress::File { name: "model.gguf".into(), bytes: 98_362_432 };
    update(&mut s, Message::Model(WorkerEvent::Fetching(file)));
    update(&mut s, Message::Model(WorkerEvent::Fetching(Progress::Bytes(49_181_216))));
    assert!(draw(&s).contains("fetching model.gguf 50 % of 98 MB"));
    update(&mut s, Message::Model(WorkerEvent::Unusable("no network".into())));
    assert!(draw(&s).contains("no network; Ctrl-R tries again"));
}

#[test]
fn a_long_notice_is_shown_whole_at_any_width() {
    let reason =
        "pip could not download the package; check the network and run the same command again";
    for (width, height) in [(80, 24), (40, 14), (30, 9)] {
        let mut s = state(width, height);
        update(&mut s, Message::NotOpened(reason.into()));
        let words: Vec<String> =
            draw(&s).replace('"', " ").split_whitespace().map(String::from).collect();
        assert!(words.join(" ").contains(reason), "{width}x{height}: {words:?}");
    }
}

#[test]
fn every_size_draws() {
    for (width, height) in
        [(1, 1), (10, 3), (20, 5), (39, 13), (40, 14), (80, 24), (99, 8), (200, 50)]
    {
        let mut s = conversation(width, height);
        draw(&s);
        for key in ['o', 't', 'p', 'g'] {
            press(&mut s, KeyCode::Char(key), KeyModifiers::CONTROL);
            draw(&s);
            press(&mut s, KeyCode::Esc, KeyModifiers::NONE);
        }
    }
}

#[test]
fn scrolling_stops_at_both_ends() {
    let mut s = conversation(80, 24);
    for i in 0..20 {
        round(&mut s, &format!("question {i}"), "answer");
    }
    for _ in 0..200 {
        press(&mut s, KeyCode::PageUp, KeyModifiers::NONE);
    }
    assert!(draw(&s).contains("What is the palette?"));
    for _ in 0..200 {
        press(&mut s, KeyCode::PageDown, KeyModifiers::NONE);
    }
    assert!(s.scroll == 0 && draw(&s).contains("question 19"));
}

#[test]
fn the_time_of_a_turn_is_that_of_its_message() {
    let mut s = state(80, 24);
    round(&mut s, "what?", "Red.");
    assert!(s.conversation.turns.iter().all(|turn| turn.created == moment().now));
    press(&mut s, KeyCode::Char('n'), KeyModifiers::CONTROL);
    let session = &s.conversation.session;
    assert_eq!((session.id.clone(), session.created), (moment().id.to_string(), moment().now));
}

#[test]
fn a_window_gets_keys_before_the_composer() {
    let mut s = state(80, 24);
    press(&mut s, KeyCode::Char('p'), KeyModifiers::CONTROL);
    type_text(&mut s, "x");
    assert!(s.composer.text().is_empty());
    press(&mut s, KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert!(s.overlays.is_empty() && !s.quitting);
    type_text(&mut s, "x");
    assert_eq!(s.composer.text(), "x");
}
