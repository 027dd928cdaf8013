//! An answer that fails, and a program that is suspended.

use super::*;

#[test]
fn a_failed_answer_keeps_its_reason_on_the_screen_and_in_the_store() {
    let mut s = state(80, 24);
    type_text(&mut s, "hello");
    press(&mut s, KeyCode::Enter, KeyModifiers::NONE);
    let reason = String::from("the server answered 500: out of \u{1b}memory");
    let effects = update(&mut s, Message::Model(WorkerEvent::Failed(1, reason)));
    let stored = effects.iter().find_map(|effect| match effect {
        Effect::PutTurn(pair) => Some(pair.1.clone()),
        _ => None,
    });
    let stored = stored.expect("is stored");
    assert_eq!(stored.failure.as_deref(), Some("the server answered 500: out of \u{fffd}memory"));
    assert_eq!((stored.complete, stored.finish_reason), (false, None));
    // The message goes with Esc, the reason stays.
    press(&mut s, KeyCode::Esc, KeyModifiers::NONE);
    assert!(s.notice.is_none());
    assert!(
        draw(&s).contains("(failed: the server answered 500: out of \u{fffd}memory)"),
        "{}",
        draw(&s)
    );
}

#[test]
fn ctrl_z_suspends_wherever_it_is_pressed() {
    let mut s = state(80, 24);
    for open in ['a', 'g', 'o'] {
        press(&mut s, KeyCode::Char(open), KeyModifiers::CONTROL);
        let effects = press(&mut s, KeyCode::Char('z'), KeyModifiers::CONTROL);
        assert!(matches!(&effects[..], [Effect::Suspend]), "{effects:?}");
    }
}

#[test]
fn a_password_in_a_servers_address_is_not_stored() {
    let mut s = state(80, 24);
    let reference = String::from("openai:http://me:secret@box:8000/v1#art");
    let info = ModelInfo { reference, name: "art".into(), sees: true, questions: Vec::new() };
    update(&mut s, Message::Model(WorkerEvent::Ready(info)));
    type_text(&mut s, "hello");
    let effects = press(&mut s, KeyCode::Enter, KeyModifiers::NONE);
    let stored: Vec<&str> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::PutTurn(pair) | Effect::BeginDraft(pair) => Some(pair.0.model.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(stored.len(), 2, "{effects:?}");
    assert!(stored.iter().all(|model| model.contains("box:8000") && !model.contains("secret")));
    press(&mut s, KeyCode::Char('n'), KeyModifiers::CONTROL);
    assert!(!s.conversation.session.model.contains("secret"));
}
