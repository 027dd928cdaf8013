//! What the screen looks like, as text.

use crossterm::event::{KeyCode, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::view;
use crate::tui::app::State;
use crate::tui::message::{Message, Scaled};
use crate::tui::update::tests::{answer, open, press, round, state, type_text};
use crate::tui::update::update;
use artgpt_engine::WorkerEvent as Event;
use artgpt_fetch::Progress;

fn draw(state: &State) -> String {
    let (width, height) = (state.screen.width, state.screen.height);
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test terminal");
    terminal.draw(|frame| view(state, frame)).expect("draws");
    terminal.backend().to_string()
}

/// A state with an artwork, scaled as the runner does, and two rounds.
fn conversation(width: u16, height: u16) -> State {
    let mut s = state(width, height);
    open(&mut s, "night.png");
    if let Some((sha256, size)) = s.scaling.clone() {
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
fn empty_80x24() {
    insta::assert_snapshot!(draw(&state(80, 24)));
}

#[test]
fn conversation_80x24() {
    insta::assert_snapshot!(draw(&conversation(80, 24)));
}

#[test]
fn conversation_120x30() {
    insta::assert_snapshot!(draw(&conversation(120, 30)));
}

#[test]
fn streaming_80x24() {
    let mut s = conversation(80, 24);
    type_text(&mut s, "Is it dark?");
    press(&mut s, KeyCode::Enter, KeyModifiers::NONE);
    let id = s.next_request;
    update(&mut s, Message::Model(Event::Prefilled(id, answer("").usage)));
    update(&mut s, Message::Model(Event::Text(id, "Low key: dark".into(), 5, 42.0)));
    insta::assert_snapshot!(draw(&s));
}

#[test]
fn fetching_and_a_failure() {
    let mut s = state(80, 24);
    let file = Progress::File { name: "model.gguf".into(), bytes: 98_362_432 };
    update(&mut s, Message::Model(Event::Fetching(file)));
    update(&mut s, Message::Model(Event::Fetching(Progress::Bytes(49_181_216))));
    assert!(draw(&s).contains("fetching model.gguf 50 % of 98 MB"));
    update(&mut s, Message::Model(Event::Unusable("no network".into())));
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
fn help_80x24() {
    let mut s = state(80, 24);
    press(&mut s, KeyCode::F(1), KeyModifiers::NONE);
    insta::assert_snapshot!(draw(&s));
}

#[test]
fn models_80x24() {
    use artgpt_app::catalogue::Choice;
    let mut s = state(80, 24);
    press(&mut s, KeyCode::F(2), KeyModifiers::NONE);
    let run = |id: &str| Choice {
        reference: format!("/data/runs/{id}"),
        heading: id.into(),
        description: "artgpt-smol by lora (rank 8, alpha 16, on q_proj, v_proj)".into(),
    };
    let name = String::from("artgpt-smol");
    let first = Choice { reference: name.clone(), heading: name, description: "sees".into() };
    let runs = ["01M8BTYMHATY9SS3R68AEE3X6S", "01M8BV0BMH0AKDPAS7K6VM6HM9"];
    let all = std::iter::once(first).chain(runs.into_iter().map(run)).collect();
    update(&mut s, Message::Models(all));
    insta::assert_snapshot!(draw(&s));
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
fn model_output_cannot_move_the_cursor() {
    let mut s = state(80, 24);
    round(&mut s, "hi", "a\u{1b}[2Jb\u{202e}c");
    let screen = draw(&s);
    assert!(screen.contains("a\u{fffd}[2Jb\u{fffd}c"), "{screen}");
}
