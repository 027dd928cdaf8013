//! SIGKILL at random moments of `ask --session`: the question and the answer so far are stored.

use std::io::{BufReader, Read};
use std::time::{Duration, Instant};

use rand::Rng;
use serde_json::Value;

use crate::budget::Budget;
use crate::common::server::{endless_answers, last_word};
use crate::kills::{command, run};

/// How much of an answer may be lost. It is stored once a second; the rest is what a busy machine takes.
const LOST: Duration = Duration::from_millis(2500);

#[test]
fn an_answer_that_is_killed_keeps_what_was_said() {
    let mut budget = Budget::new("answers");
    let home = tempfile::tempdir().expect("temp dir");
    let data = home.path();
    let model = endless_answers();
    let mut session: Option<String> = None;
    let (mut kills, mut checked) = (0, 0);
    while budget.is_left() {
        let question = format!("Question {kills}?");
        let id = session.as_deref().unwrap_or("new");
        let args = ["ask", "--model", &model, "--session", id, &question];
        let mut child = command(data, &args).spawn().expect("starts");
        let mut out = BufReader::new(child.stdout.take().expect("stdout"));
        // The words that were printed, each with its time.
        let reader = std::thread::spawn(move || {
            let (mut text, mut seen) = (String::new(), Vec::new());
            let mut piece = [0; 256];
            while let Ok(n @ 1..) = out.read(&mut piece) {
                text.push_str(&String::from_utf8_lossy(&piece[..n]));
                seen.extend(last_word(&text).map(|word| (Instant::now(), word)));
            }
            seen
        });
        // The first one lives long enough to be compared.
        let (shortest, longest) = if kills == 0 { (6500, 7000) } else { (0, 5000) };
        let moment = Duration::from_millis(budget.random.random_range(shortest..longest));
        std::thread::sleep(moment);
        let ended = child.try_wait().expect("waits");
        assert!(ended.is_none(), "it ended by itself: {ended:?}");
        let killed = Instant::now();
        child.kill().expect("kills");
        child.wait().expect("waits");
        let printed = reader.join().expect("reads");
        kills += 1;
        let list = run(data, &["--json", "sessions", "list"]);
        let list: Value = serde_json::from_str(&list).expect("JSON");
        let Some(found) = list[0]["id"].as_str() else {
            // It was killed before it had stored anything, so that nothing was printed either.
            assert!(printed.is_empty(), "{printed:?}");
            continue;
        };
        session = Some(found.to_string());
        let shown = run(data, &["sessions", "export", found, "--format", "json"]);
        let shown: Value = serde_json::from_str(&shown).expect("JSON");
        let turns = shown["turns"].as_array().expect("turns");
        let asked = turns.iter().position(|turn| turn["text"] == question.as_str());
        let answer = asked.and_then(|at| turns.get(at + 1)).and_then(|turn| turn["text"].as_str());
        // What was printed long enough before the end is there.
        let old = printed.iter().rev().find(|(time, _)| killed - *time > LOST);
        let Some((_, word)) = old else { continue };
        let kept = answer.and_then(last_word).unwrap_or_else(|| panic!("no answer: {shown}"));
        assert!(kept >= *word, "{kept} of {word}");
        checked += 1;
    }
    assert!(checked > 0, "no answer was old enough");
    println!("{kills} kills, {checked} of them late enough to compare the answers");
}
