//! A data folder that version 0.1.0 made goes on working: sessions, runs in every state, a queued job,
//! settings and a model. It was made in `/home/ann`, with a small network of random weights.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::common::home::Home;
use crate::common::pty::{Pty, Terminal};

pub(crate) const WITH_PICTURE: &str = "01M8Q5XXH0KSMAC2YZ3G68S5R9";
const STEPS: u64 = 1_000_000;

/// A copy that lives in a temporary folder and is used by the program under test.
pub(crate) fn old_home() -> Home {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/old-home");
    let home = Home::bare();
    let to = home.path().display().to_string();
    let config = format!("{to}/config");
    let program = assert_cmd::cargo::cargo_bin("artgpt-tui").display().to_string();
    let moved: [(&str, &str); 3] = [
        ("/home/ann/.local/share/artgpt-tui", &to),
        ("/home/ann/.config", &config),
        ("/home/ann/bin/artgpt-tui", &program),
    ];
    copy(&from, home.path(), &moved);
    // Git keeps no empty folders.
    for empty in ["sessions.sled/blobs", "runs/01M8Q64KVDFM9M6GRKWD4QW1FR/checkpoints"] {
        std::fs::create_dir_all(home.path().join(empty)).expect("makes");
    }
    home
}

/// The same without the job that waits: nothing starts in it.
pub(crate) fn quiet_home() -> Home {
    let home = old_home();
    std::fs::remove_dir_all(home.path().join("runs/01M8Q64KVDFM9M6GRKWD4QW1FR")).expect("is there");
    home
}

fn copy(from: &Path, to: &Path, moved: &[(&str, &str)]) {
    for entry in std::fs::read_dir(from).expect("reads").flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            std::fs::create_dir_all(&target).expect("makes");
            copy(&path, &target, moved);
        } else if path.extension().is_some_and(|e| e == "json" || e == "toml") {
            let text = std::fs::read_to_string(&path).expect("reads");
            let text = moved.iter().fold(text, |text, (old, new)| text.replace(old, new));
            std::fs::write(target, text).expect("writes");
        } else {
            std::fs::copy(&path, target).expect("copies");
        }
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().expect("text")
}

#[test]
fn its_sessions_are_listed_shown_and_continued() {
    let home = old_home();
    let list = home.json(&["sessions", "list"]);
    let titles: Vec<&str> =
        list.as_array().expect("a list").iter().map(|session| text(session, "title")).collect();
    assert_eq!(titles, ["And what is a portrait?", "Red: Which colours are there?"]);
    let (code, shown, err) = home.run(&["sessions", "show", WITH_PICTURE]);
    assert_eq!(code, Some(0), "{err}");
    for part in ["Which colours are there?", "Mira Quell", "M\u{319}"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    // The picture itself is gone; the session has a copy.
    let ask = ["ask", "--session", WITH_PICTURE, "--greedy", "And the light?"];
    let answer = home.json(&ask);
    assert_eq!(answer["image_tokens"], 4, "{answer}");
    let (code, exported, err) = home.run(&["sessions", "export", WITH_PICTURE, "--format", "json"]);
    assert_eq!(code, Some(0), "{err}");
    let exported: Value = serde_json::from_str(&exported).expect("JSON");
    assert_eq!(exported["turns"].as_array().map(Vec::len), Some(4), "{exported}");
}

#[test]
fn its_runs_are_listed_shown_and_exported() {
    let home = old_home();
    let list = home.json(&["runs", "list"]);
    let states: BTreeMap<&str, (&str, u64)> = list
        .as_array()
        .expect("a list")
        .iter()
        .map(|run| (text(run, "name"), (text(run, "state"), run["step"].as_u64().expect("a step"))))
        .collect();
    let expected = [
        ("done", ("finished", 2)),
        ("evening", ("finished", 2)),
        ("failed", ("failed", 0)),
        ("killed", ("lost", 28)),
        ("paused", ("paused", 211)),
        ("stopped", ("stopped", 120)),
        ("waiting", ("queued", 0)),
    ];
    assert_eq!(states, BTreeMap::from(expected));
    let shown = home.json(&["runs", "show", "evening"]);
    let loss = shown["metrics"]["loss/train"]["last"].as_f64().expect("a number");
    assert!((loss - 5.793_047).abs() < 1e-5, "{shown}");
    let (code, table, err) = home.run(&["runs", "export", "paused"]);
    assert_eq!((code, table.lines().count()), (Some(0), 212), "{err}");
    // What a run made is a model.
    let run = text(&shown, "path").to_string();
    let score = home.json(&["score", "--model", &run, "--prompt", "What?", "--answer", "Red."]);
    assert!(score["sum"].as_f64().is_some_and(|sum| sum < 0.0), "{score}");
}

#[test]
fn its_jobs_are_listed_resumed_and_run() {
    let home = old_home();
    let list = home.json(&["jobs", "list"]);
    let id = |name: &str| {
        let jobs = list.as_array().expect("a list");
        let job = jobs.iter().find(|job| job["name"] == name).expect(name);
        text(job, "id").to_string()
    };
    assert_eq!(list.as_array().map(Vec::len), Some(5), "{list:#}");
    let failed = home.job("failed");
    assert!(text(&failed, "exit_reason").contains("bad.safetensors"), "{failed:#}");
    let waiting = id("waiting");
    home.json(&["jobs", "resume", &waiting]);
    let finished = home.until_state(&waiting, "finished");
    assert_eq!(finished["priority"], 3, "{finished:#}");
    let config = home.path().join("runs").join(&waiting).join("config.toml");
    assert_eq!(home.losses(&waiting), home.unbroken(&config));
    // They go on from their last checkpoint, and no step is left out or stands twice.
    for (name, stood) in [("paused", 211), ("stopped", 120), ("killed", 28)] {
        home.json(&["jobs", "resume", name]);
        let run = text(&home.job(name), "id").to_string();
        let job = home.until_step(&run, stood + 1);
        assert_eq!(job["total_steps"], STEPS, "{job:#}");
        home.json(&["jobs", "stop", name]);
        let steps: Vec<u64> = home.losses(&run).into_keys().collect();
        assert!(steps.len() as u64 > stood, "{name}: {steps:?}");
        assert_eq!(steps, (1..=steps.len() as u64).collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn its_settings_and_its_panel_are_found_again() {
    let home = old_home();
    let answer = home.json(&["ask", "--greedy", "What is a portrait?"]);
    assert_eq!((text(&answer, "model"), text(&answer, "finish_reason")), ("small", "length"));
    assert_eq!(answer["token_ids"].as_array().map(Vec::len), Some(7), "{answer}");
    let mut panel = Pty::start(home.path(), (120, 40), Terminal::Plain, &["watch"]);
    let screen = panel.until("its runs", |s| s.contains("evening") && s.contains("waiting"));
    assert!(screen.contains("1000000"), "{screen}");
    let ground = b"48;2;246;241;231"; // the theme `paper`
    let bytes = panel.bytes();
    assert!(bytes.windows(ground.len()).any(|part| part == ground), "{screen}");
    panel.send("q");
    assert_eq!(panel.ends(), 0);
    // The run that was hidden stays so.
    let saved = std::fs::read_to_string(home.path().join("runs/.panel.json")).expect("reads");
    let saved: Value = serde_json::from_str(&saved).expect("JSON");
    let runs = saved["runs"].as_object().expect("a map");
    assert!(runs.iter().any(|(run, said)| run.contains("01M8Q5XXSD") && said["shown"] == false));
}
