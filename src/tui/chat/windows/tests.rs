//! What the windows look like.

use crossterm::event::{KeyCode, KeyModifiers};

use crate::tui::chat::tests::{conversation, draw, press, round, state, type_text, update};
use crate::tui::chat::{Message, State, tick, ticks};
use crate::tui::complete::Candidate;
use crate::tui::effect::Effect;
use artgpt_app::catalogue::Choice;
use artgpt_chat::{Conversation, Session};
use artgpt_store::StoreEvent;

fn snapshot(name: &str, prepare: impl Fn(&mut State)) {
    for (width, height) in [(80, 24), (120, 40)] {
        let mut s = conversation(width, height);
        prepare(&mut s);
        insta::assert_snapshot!(format!("{name}_{width}x{height}"), draw(&s));
    }
}

fn control(s: &mut State, letter: char) {
    press(s, KeyCode::Char(letter), KeyModifiers::CONTROL);
}

fn key(s: &mut State, code: KeyCode) {
    press(s, code, KeyModifiers::NONE);
}

fn sessions() -> Vec<Session> {
    let titles = ["What is the palette?", "", "A very long title of a session about two paintings"];
    let session = |title: &str| Session {
        id: title.into(),
        title: title.into(),
        updated: "2026-01-02T03:04:05Z".parse().expect("a time"),
        ..Session::new("m", None)
    };
    titles.map(session).into()
}

#[test]
fn help() {
    snapshot("help", |s| control(s, 'g'));
    snapshot("help_scrolled", |s| {
        control(s, 'g');
        key(s, KeyCode::PageDown);
    });
}

#[test]
fn where_an_answer_comes_from() {
    snapshot("sources", |s| {
        round(
            s,
            "What do you see?",
            "A red field. The colours are warm. It was surely made in a storm, long ago.",
        );
        key(s, KeyCode::F(4));
    });
    // Neither before the first question nor while it is being answered.
    let mut s = state(80, 24);
    key(&mut s, KeyCode::F(4));
    assert!(s.overlays.is_empty() && draw(&s).contains("there is no answer yet"));
    type_text(&mut s, "What?");
    key(&mut s, KeyCode::Enter);
    key(&mut s, KeyCode::F(4));
    assert!(s.overlays.is_empty() && draw(&s).contains("there is no answer yet"));
}

#[test]
fn help_scrolls_to_its_end_and_any_other_key_closes_it() {
    let mut s = state(80, 24);
    control(&mut s, 'g');
    for _ in 0..20 {
        key(&mut s, KeyCode::PageDown);
    }
    assert!(draw(&s).contains("quit; everything is saved"));
    key(&mut s, KeyCode::Char('x'));
    assert!(s.overlays.is_empty() && s.composer.text().is_empty());
}

#[test]
fn open() {
    snapshot("open", |s| {
        control(s, 'o');
        let found = vec![
            Candidate {
                path: "/art/436535.jpg".into(),
                title: Some("Wheat Field, V. v. G.".into()),
            },
            Candidate { path: "/art/more/".into(), title: None },
            Candidate { path: "/art/night.png".into(), title: None },
        ];
        update(s, Message::Completed("/art/".into(), found));
        key(s, KeyCode::Down);
        key(s, KeyCode::Down);
    });
}

#[test]
fn sessions_to_resume() {
    snapshot("sessions_reading", |s| control(s, 't'));
    snapshot("sessions_none", |s| {
        control(s, 't');
        update(s, Message::Store(StoreEvent::Sessions(Vec::new())));
    });
    snapshot("sessions", |s| {
        control(s, 't');
        update(s, Message::Store(StoreEvent::Sessions(sessions())));
        key(s, KeyCode::Down);
    });
    snapshot("sessions_delete", |s| {
        control(s, 't');
        update(s, Message::Store(StoreEvent::Sessions(sessions())));
        key(s, KeyCode::Char('d'));
    });
}

#[test]
fn questions() {
    snapshot("questions", |s| {
        control(s, 'p');
        key(s, KeyCode::Down);
    });
}

#[test]
fn a_question_is_added_to_what_is_written() {
    let mut s = state(80, 24);
    type_text(&mut s, "Briefly: ");
    control(&mut s, 'p');
    key(&mut s, KeyCode::Enter);
    assert!(s.overlays.is_empty());
    let text = s.composer.text();
    assert!(text.starts_with("Briefly: ") && text.len() > 12, "{text}");
}

#[test]
fn models() {
    snapshot("models", |s| {
        key(s, KeyCode::F(2));
        let run = |id: &str| Choice {
            reference: format!("/data/runs/{id}"),
            heading: id.into(),
            description: "artgpt-smol by lora (rank 8, alpha 16, on q_proj, v_proj)".into(),
        };
        let name = String::from("artgpt-smol");
        let first = Choice { reference: name.clone(), heading: name, description: "sees".into() };
        let runs = ["01M8BTYMHATY9SS3R68AEE3X6S", "01M8BV0BMH0AKDPAS7K6VM6HM9"];
        let all = std::iter::once(first).chain(runs.into_iter().map(run)).collect();
        update(s, Message::Models(all));
    });
}

#[test]
fn a_model_that_another_process_installs_is_seen_and_the_selection_stays() {
    let choice = |name: &str| Choice {
        reference: name.into(),
        heading: name.into(),
        description: "x".into(),
    };
    let mut s = state(80, 24);
    assert!(!ticks(&s));
    key(&mut s, KeyCode::F(2));
    // The first list is still on its way.
    assert!(ticks(&s) && tick(&mut s).is_empty());
    update(&mut s, Message::Models(vec![choice("artgpt-smol"), choice("b")]));
    key(&mut s, KeyCode::Down);
    assert!(matches!(&tick(&mut s)[..], [Effect::ListModels]));
    assert!(tick(&mut s).is_empty(), "one at a time");
    let all = ["a", "artgpt-smol", "b"].map(choice);
    update(&mut s, Message::Models(all.into()));
    assert!(draw(&s).contains("a                           x"), "{}", draw(&s));
    let effects = press(&mut s, KeyCode::Enter, KeyModifiers::NONE);
    assert!(matches!(&effects[..], [Effect::UseModel(name)] if name == "b"), "{effects:?}");
    assert!(!ticks(&s));
}

#[test]
fn paintings_that_another_process_installs_are_where_the_open_window_begins() {
    let candidate = |path: &str| Candidate { path: path.into(), title: None };
    let mut s = state(80, 24);
    control(&mut s, 'o');
    update(&mut s, Message::Completed(String::new(), vec![candidate("x/")]));
    assert!(ticks(&s));
    let effects = tick(&mut s);
    assert!(
        matches!(&effects[..], [Effect::FindPaintings, Effect::Complete(text)] if text.is_empty())
    );
    assert!(tick(&mut s).is_empty(), "one at a time");
    let effects = update(&mut s, Message::Paintings("/data/files/".into()));
    assert!(matches!(&effects[..], [Effect::Complete(folder)] if folder == "/data/files/"));
    let found = ["/data/files/1.jpg", "/data/files/2.jpg"].map(candidate);
    update(&mut s, Message::Completed("/data/files/".into(), found.clone().into()));
    key(&mut s, KeyCode::Down);
    key(&mut s, KeyCode::Down);
    // One more came; the selected file is the same.
    let all = [candidate("/data/files/0.jpg")].into_iter().chain(found).collect();
    update(&mut s, Message::Completed("/data/files/".into(), all));
    let effects = press(&mut s, KeyCode::Enter, KeyModifiers::NONE);
    assert!(
        matches!(&effects[..], [Effect::OpenArtwork(path)] if path.ends_with("2.jpg")),
        "{effects:?}"
    );
    // Who has typed something stays there.
    control(&mut s, 'o');
    type_text(&mut s, "/tmp");
    assert!(update(&mut s, Message::Paintings("/other/".into())).is_empty());
    control(&mut s, 'c');
    control(&mut s, 'o');
    assert!(draw(&s).contains("/other/"));
}

fn stored(model: &str) -> Message {
    let session = Session { title: "A stranger's".into(), ..Session::new(model, None) };
    Message::Store(StoreEvent::Loaded(Box::new(Conversation::new(session))))
}

#[test]
fn a_sessions_own_server_is_used_only_after_a_yes() {
    snapshot("server", |s| {
        update(s, stored("openai:http://me:pw@stranger.example:8000/v1#art"));
    });
    let model = "openai:http://stranger.example#art";
    for answer in ['n', 'x', '\r'] {
        let mut s = state(80, 24);
        assert!(update(&mut s, stored(model)).is_empty());
        assert!(draw(&s).contains("stranger.example"));
        let code = if answer == '\r' { KeyCode::Enter } else { KeyCode::Char(answer) };
        assert!(press(&mut s, code, KeyModifiers::NONE).is_empty());
        assert!(s.overlays.is_empty() && s.settings.model == "artgpt-smol");
    }
    let mut s = state(80, 24);
    update(&mut s, stored(model));
    let effects = press(&mut s, KeyCode::Char('y'), KeyModifiers::NONE);
    assert!(matches!(&effects[..], [Effect::UseModel(name)] if name == model), "{effects:?}");
    // A local model, and a server that the settings name, are no question.
    let mut s = state(80, 24);
    update(&mut s, stored("another-model"));
    assert!(s.overlays.is_empty());
    s.configured_model = "openai:http://stranger.example:80/v1#other".into();
    update(&mut s, stored(model));
    assert!(s.overlays.is_empty());
}
