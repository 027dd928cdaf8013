//! What the chat looks like.

use super::*;

fn snapshot(name: &str, prepare: impl Fn(u16, u16) -> State) {
    for (width, height) in [(80, 24), (120, 40)] {
        insta::assert_snapshot!(format!("{name}_{width}x{height}"), draw(&prepare(width, height)));
    }
}

#[test]
fn empty() {
    snapshot("empty", state);
}

#[test]
fn a_conversation_about_an_artwork() {
    snapshot("conversation", conversation);
}

#[test]
fn an_answer_that_streams() {
    snapshot("streaming", |width, height| {
        let mut s = conversation(width, height);
        type_text(&mut s, "Is it dark?");
        press(&mut s, KeyCode::Enter, KeyModifiers::NONE);
        let id = s.next_request;
        update(&mut s, Message::Model(WorkerEvent::Prefilled(id, answer("").usage)));
        update(
            &mut s,
            Message::Model(WorkerEvent::Text(id, "Low key: dark".into(), Some(5), Some(42.0))),
        );
        s
    });
}

#[test]
fn scrolled_up() {
    snapshot("scrolled", |width, height| {
        let mut s = conversation(width, height);
        for i in 0..9 {
            round(&mut s, &format!("question {i}"), "answer");
        }
        press(&mut s, KeyCode::PageUp, KeyModifiers::NONE);
        s
    });
}

#[test]
fn a_long_question() {
    snapshot("composer", |width, height| {
        let mut s = state(width, height);
        paste(&mut s, "Which of the two paintings is older?\r\nAnswer with a year, ");
        paste(&mut s, "and say what in the painting made you think so, in one sentence or two.");
        s
    });
}

#[test]
fn a_label_and_an_image_that_is_not_loaded() {
    snapshot("label", |width, height| {
        let mut s = conversation(width, height);
        s.artwork.loaded.clear();
        let label = artgpt_art::Label {
            title: Some("Wheat Field".into()),
            artist: Some("A. Painter".into()),
            credit: Some("A museum".into()),
            ..Default::default()
        };
        s.conversation.session.artworks[0].label = Some(label);
        s
    });
}

#[test]
fn an_error_that_is_longer_than_the_line() {
    snapshot("error", |width, height| {
        let mut s = conversation(width, height);
        let text = "cannot fetch the model: the server does not answer; check the network, then run the same command again or install from a folder";
        update(&mut s, Message::Error(text.into()));
        s
    });
}

#[test]
fn model_output_cannot_move_the_cursor() {
    let mut s = state(80, 24);
    round(&mut s, "hi", "a\u{1b}[2Jb\u{202e}c");
    let screen = draw(&s);
    assert!(screen.contains("a\u{fffd}[2Jb\u{fffd}c"), "{screen}");
}
