use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use image::RgbImage;
use ratatui::layout::Rect;

use super::*;
use crate::tui::app::{Popup, Terminal};
use crate::tui::graphics::{ColourDepth, Protocol};
use crate::tui::message::Opened;
use crate::tui::theme::Theme;
use artgpt_app::settings::Settings;
use artgpt_chat::{Answer, FinishReason, Role, Timings, Usage};
use artgpt_engine::{ModelInfo, Picture};

pub fn state(width: u16, height: u16) -> State {
    let terminal =
        Terminal { protocol: Protocol::Blocks, colours: ColourDepth::True, cell: (8, 16) };
    let screen = Rect::new(0, 0, width, height);
    let mut state = State::new(Settings::default(), Theme::plain(), screen, terminal);
    let name = String::from("artgpt-smol");
    let info = ModelInfo { reference: name.clone(), name, sees: true };
    update(&mut state, Message::Model(Event::Ready(info)));
    state
}

pub fn press(state: &mut State, code: KeyCode, modifiers: KeyModifiers) -> Vec<Effect> {
    update(state, Message::Key(KeyEvent::new(code, modifiers)))
}

pub fn type_text(state: &mut State, text: &str) {
    for c in text.chars() {
        press(state, KeyCode::Char(c), KeyModifiers::NONE);
    }
}

pub fn open(state: &mut State, name: &str) -> Vec<Effect> {
    let image = RgbImage::from_pixel(64, 32, image::Rgb([200, 30, 20]));
    let image = Arc::new(image);
    let opened = Opened {
        path: format!("/art/{name}").into(),
        sha256: name.into(),
        label: None,
        notes: vec![],
        picture: Picture { key: name.into(), image: image.clone() },
        image,
        resumed: None,
    };
    update(state, Message::Opened(Box::new(opened)))
}

pub fn answer(text: &str) -> Answer {
    Answer {
        text: text.into(),
        token_ids: vec![1, 2],
        finish_reason: FinishReason::Stop,
        usage: Usage { prompt_tokens: 90, cached_tokens: 60, image_tokens: 32, answer_tokens: 2 },
        timings: Timings { tokens_per_second: 50.0, ..Timings::default() },
        dropped_turns: 0,
    }
}

/// Asks and answers one round.
pub fn round(state: &mut State, question: &str, text: &str) {
    type_text(state, question);
    press(state, KeyCode::Enter, KeyModifiers::NONE);
    let id = state.next_request;
    let made = answer(text);
    update(state, Message::Model(Event::Prefilled(id, made.usage)));
    update(state, Message::Model(Event::Text(id, text.into(), 2, 50.0)));
    update(state, Message::Model(Event::Finished(id, Box::new(made))));
    let (session, seq) =
        (state.conversation.session.id.clone(), state.answer.as_ref().expect("saving").seq);
    update(state, Message::Store(StoreEvent::Saved { session, seq }));
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
    assert!(s.pending.is_empty());
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
    assert!(s.composer.is_empty());
}

#[test]
fn an_answer_is_done_only_when_it_is_durable() {
    let mut s = state(80, 24);
    type_text(&mut s, "hello");
    press(&mut s, KeyCode::Enter, KeyModifiers::NONE);
    update(&mut s, Message::Model(Event::Text(1, "Good".into(), 1, 9.0)));
    assert!(matches!(&update(&mut s, Message::Tick)[..], [Effect::AppendDraft(t)] if t == "Good"));
    assert!(update(&mut s, Message::Tick).is_empty(), "nothing new, nothing written");
    let effects = update(&mut s, Message::Model(Event::Finished(1, Box::new(answer("Good day.")))));
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
    press(&mut s, KeyCode::Esc, KeyModifiers::NONE);
    assert!(s.answer.as_ref().expect("runs").cancel.is_cancelled());
    update(&mut s, Message::Model(Event::Text(99, "other".into(), 1, 1.0)));
    assert_eq!(s.answer.as_ref().expect("runs").text, "");
}

#[test]
fn quitting_in_mid_answer_keeps_what_came() {
    let mut s = state(80, 24);
    type_text(&mut s, "hello");
    press(&mut s, KeyCode::Enter, KeyModifiers::NONE);
    update(&mut s, Message::Model(Event::Text(1, "Half an ans".into(), 3, 9.0)));
    let effects = press(&mut s, KeyCode::Char('q'), KeyModifiers::CONTROL);
    assert!(
        matches!(&effects[..], [Effect::PutTurn(p), Effect::Quit(Ended::ByUser)] if p.1.text == "Half an ans")
    );
}

#[test]
fn another_answer_is_a_branch_beside_the_first() {
    let mut s = state(80, 24);
    round(&mut s, "what?", "First.");
    let effects = press(&mut s, KeyCode::Char('r'), KeyModifiers::CONTROL);
    assert!(matches!(effects.last(), Some(Effect::Generate(..))));
    let id = s.next_request;
    update(&mut s, Message::Model(Event::Finished(id, Box::new(answer("Second.")))));
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
    assert_eq!(s.composer.lines(), ["two"]);
    press(&mut s, KeyCode::Up, KeyModifiers::NONE);
    assert_eq!(s.composer.lines(), ["one"]);
    press(&mut s, KeyCode::Down, KeyModifiers::NONE);
    press(&mut s, KeyCode::Down, KeyModifiers::NONE);
    assert!(s.composer.is_empty());
    type_text(&mut s, "mine");
    press(&mut s, KeyCode::Up, KeyModifiers::NONE);
    assert_eq!(s.composer.lines(), ["mine"]);
}

#[test]
fn a_path_is_completed_and_opened() {
    let mut s = state(80, 24);
    press(&mut s, KeyCode::Char('o'), KeyModifiers::CONTROL);
    type_text(&mut s, "/a");
    let found = vec!["/art/a.png".into(), "/art/b.png".into()];
    update(&mut s, Message::Completed("/a".into(), found.clone()));
    press(&mut s, KeyCode::Tab, KeyModifiers::NONE);
    let Some(Popup::Open(window)) = &s.popup else { panic!("closed") };
    assert_eq!(window.typed(), "/art/");
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
    assert!(matches!(&s.popup, Some(Popup::Open(window)) if window.typed() == "/art/43"));
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
    assert_eq!((s.shown, about(&mut s, "who?")), (Some(1), vec![1]));
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
    assert_eq!(s.pending, [0], "the picture on the screen stays");
    let effects = update(&mut s, Message::Store(StoreEvent::Loaded(Box::new(stored.clone()))));
    assert!(effects.iter().any(|e| matches!(e, Effect::ResumeArtwork(_, _, 0))));
    assert_eq!(s.conversation, stored);
    assert!(s.pending.is_empty());
}

#[test]
fn deleting_a_session_asks_first() {
    let mut s = state(80, 24);
    round(&mut s, "what?", "Red.");
    let other = artgpt_chat::Session::new("m", None);
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
    update(&mut s, Message::Model(Event::Finished(1, Box::new(answer("Good day.")))));
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
    use artgpt_app::catalogue::Choice;
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
    let info = |name: &str| ModelInfo { reference: name.into(), name: name.into(), sees: true };
    update(&mut s, Message::Model(Event::Ready(info("runs/1"))));
    assert_eq!(s.conversation.session.model, "runs/1");
    assert_eq!(s.settings.model, "runs/1");

    // One that cannot be used leaves the other where it was, and says why.
    update(&mut s, Message::Model(Event::SwitchFailed(info("runs/1"), "a file is damaged".into())));
    let notice = s.notice.clone().expect("says so");
    assert!(notice.error && notice.text.contains("damaged; runs/1 stays"), "{}", notice.text);
    assert!(matches!(&s.model, crate::tui::app::ModelState::Ready(i) if i.name == "runs/1"));

    // Files that name the model they named before do not undo the choice; another one does.
    let settings = |s: &State, model: &str| {
        let settings = artgpt_app::settings::Settings { model: model.into(), ..s.settings.clone() };
        Message::Settings(Box::new((settings, s.theme.clone())))
    };
    let same = settings(&s, "artgpt-smol");
    assert!(update(&mut s, same).is_empty());
    assert_eq!(s.settings.model, "runs/1");
    let other = settings(&s, "runs/2");
    let effects = update(&mut s, other);
    assert!(matches!(&effects[..], [Effect::UseModel(path)] if path == "runs/2"));

    // One that was named by a path is in the list.
    update(&mut s, Message::Model(Event::Ready(info("/models/vicuna"))));
    press(&mut s, KeyCode::F(2), KeyModifiers::NONE);
    update(&mut s, Message::Models(vec![choice("artgpt-smol")]));
    let effects = press(&mut s, KeyCode::Enter, KeyModifiers::NONE);
    assert!(matches!(&effects[..], [Effect::UseModel(path)] if path == "/models/vicuna"));
}
