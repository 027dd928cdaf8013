//! SIGKILL at random moments of commands that write sessions: what was finished is there, and what was
//! not is whole or absent.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rand::Rng;
use serde_json::{Value, json};

use crate::budget::Budget;
use crate::common;

const TURNS: u64 = 40;

pub(crate) fn command(data: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("artgpt-tui"));
    command.env("XDG_CONFIG_HOME", data.join("config")).env_remove("ARTGPT_MODEL");
    command.arg("--data-dir").arg(data).args(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command to its end; its stdout.
pub(crate) fn run(data: &Path, args: &[&str]) -> String {
    let output = command(data, args).output().expect("runs");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Whether the command ended before it was killed.
fn kill_within(mut child: Child, budget: &mut Budget, longest: u64) -> bool {
    std::thread::sleep(Duration::from_micros(budget.random.random_range(0..longest)));
    let ended = child.try_wait().expect("waits").is_some_and(|status| status.success());
    let _ = child.kill();
    child.wait().expect("waits");
    ended
}

fn session(number: usize) -> (String, String) {
    let id = format!("01M8Q5XXH0KSMAC2YZ3G{number:06}");
    let turn = |seq: u64| {
        let parent = seq.checked_sub(1);
        json!({
            "seq": seq, "parent": parent, "role": if seq.is_multiple_of(2) { "user" } else { "assistant" },
            "text": format!("turn {seq} of session {id}: {}", "x".repeat(500)),
            "created": "2026-01-01T00:00:00Z",
        })
    };
    let text = json!({
        "id": id, "title": "t", "model": "m", "artworks": [], "created": "2026-01-01T00:00:00Z",
        "updated": "2026-01-01T00:00:00Z", "turns": (0..TURNS).map(turn).collect::<Vec<_>>(),
    });
    (id.clone(), text.to_string())
}

/// The stored sessions, and how many turns each has.
fn stored(data: &Path) -> BTreeMap<String, usize> {
    let list: Value =
        serde_json::from_str(&run(data, &["--json", "sessions", "list"])).expect("JSON");
    let ids = list.as_array().expect("a list").iter();
    ids.map(|session| {
        let id = session["id"].as_str().expect("an id").to_string();
        let shown = run(data, &["sessions", "export", &id, "--format", "json"]);
        let shown: Value = serde_json::from_str(&shown).expect("JSON");
        (id, shown["turns"].as_array().expect("a list").len())
    })
    .collect()
}

#[test]
fn imports_and_removals_are_whole_or_absent_after_a_kill() {
    let mut budget = Budget::new("imports and removals");
    let home = tempfile::tempdir().expect("temp dir");
    let data = home.path().join("data");
    let file = home.path().join("session.json");
    let mut kept: BTreeMap<String, usize> = BTreeMap::new();
    let mut kills = 0;
    // As long as a command takes on this machine, and then some.
    let begun = Instant::now();
    stored(&data);
    let longest = (begun.elapsed().as_micros() as u64).max(10_000) * 2;
    for number in 0.. {
        if !budget.is_left() {
            break;
        }
        let (id, text) = session(number);
        std::fs::write(&file, text).expect("writes");
        let import = ["sessions", "import", &file.display().to_string()].map(String::from);
        let import: Vec<&str> = import.iter().map(String::as_str).collect();
        let child = command(&data, &import).spawn().expect("starts");
        let finished = kill_within(child, &mut budget, longest);
        let now = stored(&data);
        kills += usize::from(!finished);
        assert!(!finished || now.contains_key(&id), "{id} was imported");
        assert!(now.values().all(|turns| *turns == TURNS as usize), "{now:?}");
        assert!(kept.keys().all(|id| now.contains_key(id)), "{kept:?} {now:?}");
        kept = now;
        // Now one of them is removed.
        let Some(victim) = kept.keys().next().cloned().filter(|_| kept.len() > 1) else { continue };
        let child = command(&data, &["sessions", "rm", &victim]).spawn().expect("starts");
        let finished = kill_within(child, &mut budget, longest);
        let now = stored(&data);
        assert!(!finished || !now.contains_key(&victim), "{victim} was removed");
        assert!(now.values().all(|turns| *turns == TURNS as usize), "{now:?}");
        let others = kept.keys().filter(|id| **id != victim);
        assert!(others.clone().all(|id| now.contains_key(id)), "{kept:?} {now:?}");
        if !now.contains_key(&victim) {
            // A store that a kill made unreadable is kept aside, and the removal names it.
            let text = format!("of session {victim}");
            let holder = common::folder::holder(&data, &text, &|path| {
                !path.to_string_lossy().contains("sessions.sled.damaged-")
            });
            assert_eq!(holder, None, "{victim} is on disk");
        }
        kept = now;
        kills += usize::from(!finished);
    }
    println!("{kills} kills, {} sessions left", kept.len());
}
