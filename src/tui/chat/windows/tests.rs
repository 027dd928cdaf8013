//! What the windows look like.

use crossterm::event::{KeyCode, KeyModifiers};

use crate::tui::chat::tests::{conversation, draw, press, state, type_text, update};
use crate::tui::chat::{Message, State};
use crate::tui::complete::Candidate;
use artgpt_app::catalogue::Choice;
use artgpt_chat::Session;
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
