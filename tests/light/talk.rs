//! `eval talk` with a small network of random weights: what it prints, keeps and refuses.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::common::home::{Home, terminate};
use crate::old_home::quiet_home;

/// Two questions and a conversation about the museum's first two paintings.
pub(crate) const CONVERSATIONS: &str = r#"{"image":1,"kind":"mood","turns":[{"role":"user","text":"Is it sad?"},{"role":"assistant","text":"No, it is calm."}],"source":"a test"}
{"image":2,"kind":"subject","turns":[{"role":"user","text":"What is it about?"},{"role":"assistant","text":"The label says Number 2."}],"source":"a test"}
{"image":2,"kind":"conversation","turns":[{"role":"user","text":"Red?"},{"role":"assistant","text":"Yes, red."},{"role":"user","text":"Sure?"},{"role":"assistant","text":"Quite."}],"source":"a test"}
"#;

fn home() -> (Home, String) {
    let home = quiet_home();
    let data = home.config("talk.jsonl", CONVERSATIONS).display().to_string();
    (home, data)
}

/// Runs it on the museum; returns exit code, stdout and stderr.
fn talk(home: &Home, more: &[&str]) -> (Option<i32>, String, String) {
    home.run(&[&["eval", "talk", "--museum", "tiny-museum"], more].concat())
}

#[test]
fn every_cell_is_measured_and_what_is_kept_is_not_asked_again() {
    let (home, data) = home();
    let out = home.path().join("answers").display().to_string();
    let (code, printed, err) = talk(&home, &["--json", "--data", &data, "--out", &out]);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("4 questions about 2 paintings"), "{err}");
    assert!(err.contains("0/2 paintings") && err.contains("2/2 paintings"), "{err}");
    let report: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!((&report["paintings"], &report["questions"]), (&2.into(), &4.into()));
    for condition in ["right", "wrong", "none"] {
        for given in ["pixels", "text", "both"] {
            let metrics = &report["conditions"][condition][given];
            let logprob = metrics["logprob"]["value"].as_f64().expect("a number");
            assert!(logprob < 0.0, "{condition} {given}: {metrics}");
            for metric in ["bleu-4", "cider-d", "repeats", "contradictions", "label-facts"] {
                assert!(metrics[metric]["low"].is_f64(), "{condition} {given} {metric}: {metrics}");
            }
        }
    }
    assert!(report["differences"]["both"]["logprob"]["high"].is_f64(), "{report}");
    // Without a picture, text and both are the same prompt.
    assert_eq!(report["conditions"]["none"]["both"], report["conditions"]["none"]["text"]);
    let path = home.path().join("answers/answers.jsonl");
    let kept = std::fs::read_to_string(&path).expect("is kept");
    // Four questions in eight cells, answers and log-probabilities, behind the first line.
    assert_eq!(kept.lines().count(), 1 + 4 * 8 * 2);
    let answer: Value = serde_json::from_str(kept.lines().nth(1).expect("a line")).expect("JSON");
    assert_eq!((&answer["condition"], &answer["given"]), (&"right".into(), &"both".into()));
    assert_eq!((&answer["painting"], &answer["question"]), (&1.into(), &"Is it sad?".into()));

    // As after a kill: the rest is asked again, and comes out the same.
    let cut: String = kept.lines().take(20).map(|line| format!("{line}\n")).collect();
    std::fs::write(&path, format!("{cut}{{\"what\":\"ans")).expect("writes");
    let (code, again, err) = talk(&home, &["--json", "--data", &data, "--out", &out]);
    assert_eq!((code, again), (Some(0), printed), "{err}");
    assert!(err.contains("19 results are known"), "{err}");
    assert_eq!(std::fs::read_to_string(&path).expect("is kept"), kept);

    // A smaller part of what is kept, as a table.
    let (code, table, err) =
        talk(&home, &["--data", &data, "--out", &out, "--limit", "1", "--metrics", "text"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(table.contains("1 paintings, 1 questions each time"), "{table}");
    assert!(table.contains("| both | right picture | wrong picture | no picture |"), "{table}");
    assert!(table.contains("| mood |") && !table.contains("| logprob | -"), "{table}");
    assert_eq!(std::fs::read_to_string(&path).expect("is kept"), kept);

    // Other conversations do not mix with these.
    let other = home.config("other.jsonl", &CONVERSATIONS.replace("sad", "gay"));
    let other = other.display().to_string();
    let (code, _, err) = talk(&home, &["--data", &other, "--out", &out]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("holds answers of other conversations; name another --out"), "{err}");
}

#[test]
fn what_cannot_be_asked_is_counted_or_refused_with_a_reason() {
    let (home, data) = home();
    let mixed = format!(
        "{CONVERSATIONS}{{\"image\":\n{}\n",
        r#"{"image":77,"kind":"mood","turns":[{"role":"user","text":"a"},{"role":"assistant","text":"b"}]}"#
    );
    let mixed = home.config("mixed.jsonl", &mixed).display().to_string();
    let limited = ["--limit", "1", "--questions", "1", "--metrics", "logprob"];
    let (code, out, err) = talk(&home, &[&["--json", "--data", &mixed], &limited[..]].concat());
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("skipped 1 line: damaged (line 4: EOF while parsing a value)"), "{err}");
    assert!(err.contains("skipped 1 line: not in the museum (line 5: painting 77)"), "{err}");
    let report: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(report["skipped"]["not in the museum"], 1);
    assert!(report["conditions"]["right"]["both"]["bleu-4"].is_null(), "{report}");

    let empty = home.config("empty.jsonl", "\n").display().to_string();
    for (more, code, said) in [
        (&["--data", empty.as_str()][..], 2, "no conversation is about a painting of the museum"),
        (&["--data", "nowhere.jsonl"], 2, "cannot read nowhere.jsonl"),
        (
            &["--data", &data, "--model", "openai:http://localhost:1#m"],
            2,
            "works with local models only",
        ),
        (
            &["--data", &data, "--metrics", "text", "--model", "openai:http://localhost:1#m"],
            2,
            "works with local models only",
        ),
        (&["--data", &data, "--limit", "0"], 2, "0 is not in 1.."),
        (&["--data", &data, "--all", "--questions", "3"], 2, "cannot be used with"),
    ] {
        let (found, out, err) = talk(&home, more);
        assert_eq!((found, out.as_str()), (Some(code), ""), "{more:?}: {err}");
        assert!(err.contains(said), "{more:?}: {err}");
    }
    let (code, _, err) = home.run(&["eval", "talk", "--museum", "nowhere", "--data", &data]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("nowhere: there is no data set of this name"), "{err}");
}

#[test]
fn an_interrupted_evaluation_keeps_what_it_has() {
    let (home, _) = home();
    // Long enough that it has not ended before it is interrupted.
    let many: String = (0..300)
        .map(|i| {
            CONVERSATIONS.lines().next().expect("a line").replace("sad", &format!("sad {i}")) + "\n"
        })
        .collect();
    let data = home.config("many.jsonl", &many);
    let out = home.path().join("answers");
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("artgpt-tui"))
        .env("XDG_CONFIG_HOME", home.path().join("config"))
        .args(["--device", "cpu", "--data-dir"])
        .arg(home.path())
        .args(["eval", "talk", "--museum", "tiny-museum", "--all", "--data"])
        .arg(data)
        .arg("--out")
        .arg(&out)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(child.stderr.take().expect("is piped")).lines();
    let progress = lines.find(|line| line.as_ref().is_ok_and(|line| line == "0/1 paintings"));
    assert!(progress.is_some(), "no progress is shown");
    let kept = || std::fs::read_to_string(out.join("answers.jsonl")).unwrap_or_default();
    crate::common::wait::until("an answer", || match kept().lines().count() {
        0..3 => Err(kept()),
        _ => Ok(()),
    });
    terminate(child.id());
    let output = child.wait_with_output().expect("ends");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(130), 0));
    let kept = kept();
    assert!(kept.lines().count() >= 3 && kept.ends_with('\n'), "{kept}");
    assert!(kept.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{kept}");
}

#[test]
fn a_question_that_does_not_fit_is_left_out_and_does_not_end_the_evaluation() {
    let (home, _) = home();
    let long = CONVERSATIONS.replace("Is it sad?", &"Is it sad? ".repeat(4000));
    let data = home.config("long.jsonl", &long).display().to_string();
    for metrics in ["text", "logprob"] {
        let (code, out, err) = talk(&home, &["--json", "--data", &data, "--metrics", metrics]);
        assert_eq!(code, Some(0), "{err}");
        assert!(err.contains("left 1 of the questions out of all cells: too long"), "{err}");
        let report: Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(report["questions"], 3, "{report}");
        let reason = "the prompt does not fit into the model's context window";
        assert_eq!(report["skipped"][reason], 1, "{report}");
        assert!(report["lengths"]["right"]["text"]["mood"].is_null(), "{report}");
        assert!(report["reference_lengths"]["mood"].is_null(), "{report}");
    }
}
