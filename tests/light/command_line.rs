//! What the command line takes: runs as models, pictures without a command, servers of sessions.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::common::home::{Home, terminate};
use crate::common::pty::{Pty, Terminal};
use crate::old_home::quiet_home;
use crate::remote::{good, serve};

#[test]
fn a_run_is_a_model_by_its_id_its_prefix_and_its_name() {
    let home = quiet_home();
    let id = "01M8Q5WW9DXDD79JQY3MDGJX1R";
    let path = home.path().join("runs").join(id).display().to_string();
    let picture = crate::common::picture(home.path(), "red.png", [200, 10, 10]);
    let picture = picture.display().to_string();
    let ask = ["--image", &picture, "--prompt", "What?", "--answer", "Red."];
    let score = |model: &str| home.json(&[&["score", "--model", model], &ask[..]].concat());
    let expected = score(&path);
    assert_ne!(expected, score("small"), "the run's weights make a difference");
    for name in ["evening", id, "01m8q5ww9"] {
        assert_eq!(score(name), expected, "{name}");
    }
    let asked = home.json(&["ask", "-m", "evening", "--greedy", "Why?"]);
    let shown = home.json(&["models", "show", "evening"]);
    assert_eq!(asked["model"], shown["manifest"]["name"]);
    assert_eq!(home.run(&["models", "verify", "evening"]).0, Some(0));
    // A manifest's name wins.
    let (from, to) = (home.path().join("models/small"), home.path().join("models/evening"));
    std::os::unix::fs::symlink(from, to).expect("links");
    assert_eq!(score("evening"), score("small"));
}

#[test]
fn a_run_without_a_model_and_an_ambiguous_name_are_told() {
    let home = quiet_home();
    let (code, _, err) = home.run(&["ask", "--model", "paused", "Why?"]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("has no model yet; `artgpt-tui runs show "), "{err}");
    let (code, _, err) = home.run(&["ask", "--model", "01M8Q5", "Why?"]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("more than one run is called 01M8Q5"), "{err}");
    let (code, _, err) = home.run(&["ask", "--model", "nowhere", "Why?"]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("nowhere: a model of this name is not supported"), "{err}");
}

#[test]
fn what_training_prints_at_its_end_starts_a_chat() {
    let home = quiet_home();
    let config = home.config(
        "t.toml",
        "model = \"small\"\ndata = \"tiny-museum\"\nheld_out = 1\nbridge = \"projection\"\n\
         view_pool = 2\nmethod = { kind = \"projection\" }\n[[stage]]\nkind = \"answer\"\nsteps = 2\n\
         batch = 1\nquestions = 1\nlr = 0.001\n",
    );
    let (code, _, err) = home.run(&["train", &config.display().to_string()]);
    assert_eq!(code, Some(0), "{err}");
    let line = err.lines().find_map(|line| line.strip_prefix("talk to it: artgpt-tui "));
    let line = line.unwrap_or_else(|| panic!("{err}"));
    // The pseudo-terminal's program has the data folder already.
    let words = line.strip_prefix(&format!("--data-dir {} ", home.path().display()));
    let words: Vec<&str> = words.unwrap_or_else(|| panic!("{line}")).split(' ').collect();
    assert!(matches!(words[..], ["--model", id] if id.len() == 26), "{words:?}");
    let mut chat = Pty::start(home.path(), (100, 30), Terminal::Plain, &words);
    // This vocabulary has one token fewer than the embedding has rows; any key closes the notice.
    chat.until_shows("stand for no token");
    chat.send("W");
    // The status line cuts the name.
    chat.until_shows(&format!("small-{}", &words[1].to_lowercase()[..16]));
    chat.send("\u{11}"); // Ctrl-Q
    assert_eq!(chat.ends(), 0);
}

#[test]
fn pictures_and_options_of_the_interface_need_no_command() {
    let home = quiet_home();
    crate::common::picture(home.path(), "red.png", [200, 10, 10]);
    crate::common::picture(home.path(), "blue.png", [10, 10, 200]);
    let words = ["red.png", "blue.png", "no.png", "-m", "evening"];
    let mut chat = Pty::start(home.path(), (100, 30), Terminal::Plain, &words);
    chat.until_shows("no file at no.png");
    // Both pictures go with the question.
    chat.send("What are they?\r");
    chat.until("the answer", |screen| !screen.contains("no.png") && screen.contains("tokens"));
    chat.send("\u{11}");
    assert_eq!(chat.ends(), 0);
    let list = home.json(&["sessions", "list"]);
    let session = &list[0];
    let names: Vec<&str> = ["red.png", "blue.png"]
        .into_iter()
        .filter(|name| session["artworks"].to_string().contains(name))
        .collect();
    assert_eq!(names.len(), 2, "{session}");
    let model = session["model"].as_str().expect("a model");
    assert!(model.ends_with("runs/01M8Q5WW9DXDD79JQY3MDGJX1R"), "{session}");
    let shown = home.json(&["sessions", "show", session["id"].as_str().expect("an ID")]);
    assert_eq!(shown["turns"][0]["artworks"], json!([0, 1]), "{shown}");
}

#[test]
fn a_word_that_is_no_picture_is_an_unknown_command() {
    let home = Home::bare();
    let (code, _, err) = home.run(&["trian", "config.toml"]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("there is no command and no picture `trian`"), "{err}");
    assert!(err.contains("did you mean `artgpt-tui train`?"), "{err}");
    let (code, _, err) = home.run(&["-m", "small", "ask", "Why?"]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("stands before a command"), "{err}");
}

/// A session as somebody else may send it.
fn session(model: &str) -> String {
    json!({
        "id": "01M8Q5XXH0KSMAC2YZ3G68S5R0", "title": "T", "model": model, "system": null,
        "created": "2026-01-01T00:00:00Z", "updated": "2026-01-01T00:00:00Z", "artworks": [],
        "turns": [],
    })
    .to_string()
}

fn import(home: &Home, model: &str) -> String {
    let file = home.config("session.json", &session(model)).display().to_string();
    let imported = home.json(&["sessions", "import", &file]);
    imported["id"].as_str().expect("an ID").to_string()
}

#[test]
fn the_server_of_an_imported_session_is_used_only_if_the_user_names_it() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    listener.set_nonblocking(true).expect("does not block");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let home = Home::bare().with("OPENAI_API_KEY", "open-sesame");
    let id = import(&home, &format!("openai:{url}#m"));
    let (code, out, err) = home.run(&["ask", "--session", &id, "Why?"]);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    let what = format!("the session's model is on the server {url}, which neither");
    assert!(err.contains(&what) && err.contains("--model 'openai:"), "{err}");
    let told = listener.accept().map(|_| ()).map_err(|e| e.kind());
    assert_eq!(told, Err(std::io::ErrorKind::WouldBlock), "nothing was sent");
    // Nor was a question stored that nobody answers.
    let turns = &home.json(&["sessions", "show", &id])["turns"];
    assert_eq!(turns.as_array().map(Vec::len), Some(0), "{turns}");

    let (named, seen) = serve(3, good);
    let id = import(&home, &named.replace("#art", "#other"));
    let answer = home.json(&["ask", "--session", &id, "--model", &named, "Why?"]);
    assert_eq!(answer["text"], "A red field.");
    // The settings name the server; the model stays the session's.
    let home = home.with("ARTGPT_MODEL", &named);
    let answer = home.json(&["ask", "--session", &id, "And?"]);
    assert_eq!(answer["text"], "A red field.");
    let models: Vec<Value> = seen.iter().take(2).map(|seen| seen.body["model"].clone()).collect();
    assert_eq!(models, ["art", "other"]);
}

#[test]
fn a_password_in_an_address_is_neither_shown_nor_stored() {
    let home = Home::bare();
    let (url, _seen) = serve(2, good);
    let secret = url.replace("http://", "http://me:hunter22@");
    let (code, out, err) =
        home.run(&["--json", "ask", "--session", "new", "--model", &secret, "a"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(
        out.contains("http://***@") && !format!("{out}{err}").contains("hunter22"),
        "{out}{err}"
    );
    let (_, listed, err) = home.run(&["--json", "sessions", "list"]);
    assert!(listed.contains("http://***@") && !listed.contains("hunter22"), "{listed} {err}");
    for entry in walk(home.path()) {
        let bytes = std::fs::read(&entry).expect("reads");
        let stored = bytes.windows(8).any(|part| part == b"hunter22");
        assert!(!stored, "{}", entry.display());
    }
    // The settings have the password, the session asks for the server.
    let list: Value = serde_json::from_str(&listed).expect("JSON");
    let id = list[0]["id"].as_str().expect("an ID").to_string();
    let home = home.with("ARTGPT_MODEL", &secret);
    let (code, out, err) = home.run(&["ask", "--session", &id, "b"]);
    assert_eq!((code, out.trim()), (Some(0), "A red field."), "{err}");
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("reads").flatten().map(|entry| entry.path());
    let below = |path: std::path::PathBuf| if path.is_dir() { walk(&path) } else { vec![path] };
    entries.flat_map(below).collect()
}

#[test]
fn an_evaluation_shows_progress_and_stops_on_a_signal() {
    let home = quiet_home();
    let split = home.path().join("runs/01M8Q5WW9DXDD79JQY3MDGJX1R/split.json");
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("artgpt-tui"))
        .env("XDG_CONFIG_HOME", home.path().join("config"))
        .args(["--device", "cpu", "--data-dir"])
        .arg(home.path())
        .args(["eval", "seeing", "--data", "tiny-museum", "--views", "100", "--split"])
        .arg(split)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(child.stderr.take().expect("is piped")).lines();
    let progress = lines.find(|line| line.as_ref().is_ok_and(|line| line == "0/1 paintings"));
    assert!(progress.is_some(), "no progress is shown");
    terminate(child.id());
    let output = child.wait_with_output().expect("ends");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(130), 0));
}
