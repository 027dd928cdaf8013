//! Commands whose output cannot be written: a full disk, a reader that has gone, closed streams.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, PipeWriter, pipe};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::common::home::Home;
use crate::old_home::{WITH_PICTURE, quiet_home};

/// A data folder in which every command has something to print.
fn home() -> Home {
    let home = quiet_home();
    let data = home.path().join("pairs");
    std::fs::create_dir_all(&data).expect("makes");
    crate::common::picture(&data, "a.png", [200, 10, 10]);
    std::fs::write(data.join("list.csv"), "image,caption\na.png,a red square\n").expect("writes");
    let list = data.join("list.csv");
    home.config("museum.toml", &training(30));
    home.config("talk.jsonl", crate::talk::CONVERSATIONS);
    home.config(
        "pairs.toml",
        &format!(
            "model = \"small\"\nmethod = {{ kind = \"projection\" }}\n[data]\nkind = \"pairs\"\n\
             path = {list:?}\nimage = \"{{image}}\"\ncaption = \"{{caption}}\"\n[[stage]]\nkind = \"caption\"\nsteps = 1\nbatch = 1\nlr = 0.1\n"
        ),
    );
    home
}

fn training(steps: usize) -> String {
    format!(
        "model = \"small\"\ndata = \"tiny-museum\"\nseed = 9\nheld_out = 1\nbridge = \"projection\"\n\
         view_pool = 2\ncheckpoint_every = 10\nmethod = {{ kind = \"projection\" }}\n[[stage]]\n\
         kind = \"answer\"\nsteps = {steps}\nbatch = 1\nquestions = 1\nlr = 0.001\n"
    )
}

/// Commands that print results, none of which changes what another one prints.
fn printing(home: &Home) -> Vec<Vec<String>> {
    let config = |name: &str| home.path().join(name).display().to_string();
    let (museum, pairs) = (config("museum.toml"), config("pairs.toml"));
    let talk = config("talk.jsonl");
    let lines = [
        "--help",
        "--version",
        "help jobs submit",
        "ask --help",
        "models list",
        "models show small",
        "sessions list",
        &format!("sessions show {WITH_PICTURE}"),
        &format!("sessions export {WITH_PICTURE}"),
        &format!("sessions export {WITH_PICTURE} --format json"),
        "sessions search red",
        "ask --greedy why",
        "score --prompt why --answer so",
        "eval seeing --data tiny-museum --things 0 --views 1 --split SPLIT",
        &format!("eval talk --museum tiny-museum --limit 1 --questions 1 --data {talk}"),
        &format!("data check {museum}"),
        &format!("data check {pairs}"),
        "runs list",
        "runs show evening",
        "runs diff evening paused",
        "runs export evening",
        "jobs list",
        "jobs show failed",
        "jobs logs failed",
    ];
    let split = home.path().join("runs/01M8Q5WW9DXDD79JQY3MDGJX1R/split.json");
    let words = |line: &str| -> Vec<String> {
        line.replace("SPLIT", &split.display().to_string()).split(' ').map(String::from).collect()
    };
    let mut all: Vec<Vec<String>> = lines.iter().map(|line| words(line)).collect();
    let has_json = |words: &&Vec<String>| !words[0].starts_with("--") && words[0] != "help";
    let with_json: Vec<Vec<String>> = all
        .iter()
        .filter(has_json)
        .filter(|words| !words.contains(&"--help".to_string()) && words[1] != "logs")
        .map(|words| [&["--json".to_string()], &words[..]].concat())
        .collect();
    all.extend(with_json);
    all
}

fn program(home: &Home, args: &[String]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("artgpt-tui"));
    command
        .env("XDG_CONFIG_HOME", home.path().join("config"))
        .current_dir(home.path())
        .args(["--device", "cpu", "--data-dir"])
        .arg(home.path())
        .args(args)
        .stdin(Stdio::null());
    command
}

/// The command in a shell that redirects, such as `2>&-`.
fn in_shell(home: &Home, args: &[String], redirect: &str) -> Command {
    let inner = program(home, args);
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("exec \"$@\" {redirect}"), "sh"])
        .arg(inner.get_program())
        .args(inner.get_args())
        .env("XDG_CONFIG_HOME", home.path().join("config"))
        .current_dir(home.path())
        .stdin(Stdio::null());
    command
}

fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").expect("opens")
}

/// A pipe that nobody reads.
fn unread() -> PipeWriter {
    let (reader, writer) = pipe().expect("a pipe");
    drop(reader);
    writer
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_full_stdout_fails_each_command_with_a_sentence() {
    let home = home();
    for args in printing(&home) {
        let output = program(&home, &args).stdout(full()).output().expect("runs");
        let err = said(&output);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {err}");
        let sentence = "artgpt-tui: cannot write to stdout: No space left on device";
        assert_eq!(err.matches(sentence).count(), 1, "{args:?}: {err}");
        assert!(!err.contains("panicked"), "{args:?}: {err}");
    }
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    let home = home();
    for args in printing(&home) {
        let output = program(&home, &args).stdout(unread()).output().expect("runs");
        let err = said(&output);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {err}");
        assert!(!err.contains("cannot write") && !err.contains("panicked"), "{args:?}: {err}");
    }
}

#[test]
fn an_unwritable_stderr_changes_nothing() {
    let home = home();
    // Times differ from call to call, and what a random seed draws.
    let steady = |args: &Vec<String>| !(args.contains(&"ask".into()) && args[0] == "--json");
    let mut commands = printing(&home);
    commands.retain(steady);
    for wrong in
        ["sessions show nowhere", "runs show nowhere", "models show nowhere", "ask", "--no"]
    {
        commands.push(wrong.split(' ').map(String::from).collect());
        commands.push(["--json", wrong].join(" ").split(' ').map(String::from).collect());
    }
    for args in commands {
        let good = program(&home, &args).output().expect("runs");
        let outputs = [
            program(&home, &args).stderr(full()).output(),
            program(&home, &args).stderr(unread()).output(),
            in_shell(&home, &args, "2>&-").output(),
        ];
        for output in outputs {
            let output = output.expect("runs");
            assert_eq!(output.status.code(), good.status.code(), "{args:?}: {}", said(&good));
            assert!(output.stdout == good.stdout, "{args:?}");
        }
    }
}

#[test]
fn closed_streams_panic_nowhere() {
    let home = home();
    for args in printing(&home) {
        // The standard library opens /dev/null in place of a closed stream.
        let output = in_shell(&home, &args, ">&-").output().expect("runs");
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", said(&output));
        assert!(!said(&output).contains("panicked"), "{args:?}: {}", said(&output));
        let closed = in_shell(&home, &args, "<&- >&- 2>&-").status().expect("runs");
        assert_eq!(closed.code(), Some(0), "{args:?}");
        let read_only = in_shell(&home, &args, "1</dev/null").output().expect("runs");
        assert_eq!(read_only.status.code(), Some(1), "{args:?}: {}", said(&read_only));
    }
}

/// The only run of this name.
fn run_of(home: &Home, name: &str) -> PathBuf {
    let shown = home.json(&["runs", "show", name]);
    PathBuf::from(shown["path"].as_str().expect("a path"))
}

fn is_finished(run: &Path) {
    let status = std::fs::read_to_string(run.join("status.json")).expect("is there");
    assert!(status.contains("\"finished\""), "{status}");
    let metrics = std::fs::read_to_string(run.join("metrics.jsonl")).expect("is there");
    assert_eq!(metrics.lines().filter(|line| line.contains("\"train\"")).count(), 30, "{metrics}");
    assert!(run.join("checkpoints/step-30").is_dir());
}

#[test]
fn training_outlives_the_reader_of_its_output() {
    let home = home();
    let config = home.path().join("museum.toml").display().to_string();
    for (name, json) in [("text", false), ("json", true)] {
        let words = ["train", &config, "--name", name].map(String::from);
        let words = [&["--json".to_string()][..usize::from(json)], &words].concat();
        // `2>&1 | head -1`
        let (reader, writer) = pipe().expect("a pipe");
        let mut command = program(&home, &words);
        command.stdout(writer.try_clone().expect("clones")).stderr(writer);
        let mut child = command.spawn().expect("starts");
        drop(command);
        let mut first = String::new();
        BufReader::new(reader).read_line(&mut first).expect("reads");
        assert!(!first.is_empty());
        let status = child.wait().expect("ends");
        assert_eq!(status.code(), Some(0), "{name}");
        is_finished(&run_of(&home, name));
    }
}

#[test]
fn training_ends_well_and_then_tells_that_its_result_was_lost() {
    let home = home();
    let config = home.path().join("museum.toml").display().to_string();
    let words = ["--json", "train", &config, "--name", "lost"].map(String::from);
    let output = program(&home, &words).stdout(full()).output().expect("runs");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("cannot write to stdout"), "{}", said(&output));
    is_finished(&run_of(&home, "lost"));
}
