use super::*;
use crate::AppError;
use artgpt_eval::talk::{Cell, Condition, Given, Scored};

fn identity(model: &str) -> Identity {
    let json = serde_json::json!({
        "what": "begin", "format": 2, "model": model, "weights": "w", "conversations": "c",
        "paintings": "p", "prompt": "q",
    });
    serde_json::from_value(json).expect("is one")
}

fn line(line: usize) -> Line {
    let cell = Cell { condition: Condition::Right, given: Given::Text };
    Line::Logprob(Scored { painting: 1, line, round: 0, cell, logprob: -0.1, tokens: 2 })
}

#[test]
fn lines_survive_half_written_ones_and_damage_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(NAME);
    let open = || Answers::open(folder.path(), &identity("m")).expect("opens");
    let mut answers = open();
    answers.keep(&line(1)).expect("keeps");
    assert!(matches!(
        Answers::open(folder.path(), &identity("m")),
        Err(AppError::Eval(EvalError::AnswersInUse(_)))
    ));
    drop(answers);
    let append = |bytes: &[u8]| {
        let mut file = OpenOptions::new().append(true).open(&path).expect("opens");
        file.write_all(bytes).expect("writes");
    };
    append(b"{\"what\":\"answ");
    let mut answers = open();
    assert_eq!(answers.known(), [line(1)]);
    answers.keep(&line(2)).expect("keeps");
    drop(answers);
    append(b"{]\n");
    let mut answers = open();
    assert_eq!((answers.known(), &answers.damaged[..]), (&[line(1), line(2)][..], &[4][..]));
    assert!(answers.damaged().is_some_and(|said| said.ends_with("1 damaged, from line 4 on")));
    answers.keep(&line(3)).expect("keeps");
    drop(answers);
    assert_eq!(open().known().len(), 3);
}

#[test]
fn answers_to_something_else_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(Answers::open(folder.path(), &identity("m")).expect("opens"));
    let refused = Answers::open(folder.path(), &identity("other")).expect_err("is refused");
    let text = refused.to_string();
    assert!(text.ends_with("answers.jsonl holds answers of the model m"), "{text}");
    // The header of an earlier version.
    let path = folder.path().join(NAME);
    let old = r#"{"what":"begin","format":1,"model":"m","weights":"v","conversations":"c","paintings":"p"}"#;
    std::fs::write(&path, format!("{old}\n")).expect("writes");
    let refused = Answers::open(folder.path(), &identity("m")).expect_err("is refused");
    assert!(refused.to_string().ends_with("of another version of this program"), "{refused}");
    std::fs::remove_file(&path).expect("removes");
    drop(Answers::open(folder.path(), &identity("m")).expect("opens"));
    // A process that was killed before its first line was whole has kept nothing.
    let whole = std::fs::read(&path).expect("reads");
    for cut in [0, 1, 8, whole.len() - 1] {
        std::fs::write(&path, &whole[..cut]).expect("writes");
        assert!(Answers::open(folder.path(), &identity("m")).expect("begins").known().is_empty());
        assert_eq!(std::fs::read(&path).expect("reads"), whole);
    }
}

#[test]
fn a_file_of_another_kind_is_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(NAME);
    let refused = || match Answers::open(folder.path(), &identity("m")) {
        Err(AppError::Eval(EvalError::NotAnswers { reason, .. })) => reason,
        other => panic!("{other:?}"),
    };
    for foreign in ["hello\n", "hello", "{\"what\":\"other\"}", "\n", "{\"what\": ", "\u{ff}"] {
        std::fs::write(&path, foreign).expect("writes");
        assert_eq!(refused(), "its first line is not a header of `eval talk`", "{foreign}");
        assert_eq!(std::fs::read_to_string(&path).expect("reads"), foreign);
    }
    std::fs::remove_file(&path).expect("removes");
    std::fs::create_dir(&path).expect("creates");
    assert_eq!(refused(), "it is not a regular file");
    #[cfg(unix)]
    {
        std::fs::remove_dir(&path).expect("removes");
        let made = std::process::Command::new("mkfifo").arg(&path).status().expect("runs mkfifo");
        assert!(made.success());
        assert_eq!(refused(), "it is not a regular file");
    }
}

#[test]
fn without_a_directory_nothing_is_kept() {
    let mut answers = Answers::default();
    answers.keep(&line(1)).expect("needs no file");
    assert!(answers.known().is_empty() && answers.damaged().is_none());
}
