//! The flow of a question, with a source of answers that needs no model.

use super::{AskError, AskRequest, Asked, Generate, SessionChoice, ask_with};
use crate::tests::app;
use crate::{App, AppError, Result, sessions};
use artgpt_chat::{Answer, FinishReason, Timings, Usage};
use artgpt_engine::{
    Cancel, GenerateEvent, InferenceError, Prompt, Request, Result as InferenceResult,
};
use artgpt_manifest::SamplingConfig;
use artgpt_store::Database;

/// Answers with the number of turns that it was shown; fails after its text where it is told to.
struct Echo {
    fails: bool,
}

impl Generate for Echo {
    fn name(&self) -> &str {
        "echo"
    }

    fn generate(
        &mut self,
        request: &Request,
        _: &Cancel,
        on_event: &mut dyn FnMut(GenerateEvent<'_>),
    ) -> InferenceResult<Answer> {
        let Prompt::Chat { turns, .. } = &request.prompt else { panic!("a raw prompt") };
        let text = format!("{} turns", turns.len());
        on_event(GenerateEvent::Text(&text, Some(2)));
        if self.fails {
            return Err(InferenceError::EmptyAnswer);
        }
        Ok(Answer {
            text,
            token_ids: vec![1, 2],
            finish_reason: FinishReason::Stop,
            usage: Usage::default(),
            timings: Timings::default(),
            dropped_turns: 0,
        })
    }
}

fn request(session: Option<SessionChoice>) -> AskRequest {
    AskRequest {
        question: "What is it?".into(),
        raw: false,
        images: Vec::new(),
        model: None,
        session,
        system: None,
        sampling: SamplingConfig::greedy(),
        max_new_tokens: 9,
    }
}

fn ask(app: &App, request: &AskRequest, fails: bool) -> (Result<Asked>, String) {
    let mut shown = String::new();
    let asked = ask_with(
        app,
        request,
        &Cancel::default(),
        |_| Ok(Echo { fails }),
        |text| {
            shown.push_str(text);
        },
    );
    (asked, shown)
}

#[test]
fn a_session_keeps_questions_and_answers_and_is_continued() {
    let data = tempfile::tempdir().expect("a folder");
    let app = app(data.path());
    let (asked, shown) = ask(&app, &request(Some(SessionChoice::New)), false);
    let asked = asked.expect("answers");
    assert_eq!((asked.model.as_str(), shown.as_str()), ("echo", "1 turns"));
    assert!(asked.not_saved.is_none());
    let id = sessions::list(&app).expect("lists")[0].id.clone();
    let again = request(Some(SessionChoice::Existing(id[..20].into())));
    assert_eq!(ask(&app, &again, false).0.expect("answers").answer.text, "3 turns");
    let turns = sessions::get(&app, &id).expect("is there").turns;
    let texts: Vec<&str> = turns.iter().map(|turn| turn.text.as_str()).collect();
    assert_eq!(texts, ["What is it?", "1 turns", "What is it?", "3 turns"]);
    assert!(turns.iter().all(|turn| turn.complete));
}

#[test]
fn what_came_before_a_failure_is_kept() {
    let data = tempfile::tempdir().expect("a folder");
    let app = app(data.path());
    let (asked, shown) = ask(&app, &request(Some(SessionChoice::New)), true);
    assert!(matches!(asked, Err(AppError::Inference(_))) && shown == "1 turns");
    let opened = Database::open(&app.paths.sessions()).expect("opens");
    let id = opened.database.list().expect("lists")[0].id.clone();
    let turns = opened.database.get(&id).expect("is there").turns;
    assert_eq!((turns.len(), turns[1].text.as_str()), (2, "1 turns"));
    assert!(!turns[1].complete);
}

#[test]
fn nothing_is_stored_before_everything_is_right() {
    let data = tempfile::tempdir().expect("a folder");
    let app = app(data.path());
    let new = || request(Some(SessionChoice::New));
    let empty = AskRequest { question: "  ".into(), ..new() };
    assert!(matches!(ask(&app, &empty, false).0, Err(AppError::Ask(AskError::EmptyPrompt))));
    let none = AskRequest { max_new_tokens: 0, ..new() };
    assert!(matches!(ask(&app, &none, false).0, Err(AppError::Ask(AskError::NoLength))));
    let missing = AskRequest { images: vec!["no.png".into()], ..new() };
    assert!(matches!(ask(&app, &missing, false).0, Err(AppError::Art(_))));
    let cancel = Cancel::default();
    cancel.cancel();
    let cancelled = ask_with(&app, &new(), &cancel, |_| Ok(Echo { fails: false }), |_| {});
    assert!(matches!(cancelled, Err(AppError::Interrupted)));
    assert!(sessions::list(&app).expect("lists").is_empty());
}
