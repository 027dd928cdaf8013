//! Jobs that are steered from the training panel, and a terminal that is killed.

use crate::common::home::{ADAPTERS, Home, QUICK};
use crate::common::pty::{Pty, Terminal};

#[test]
fn an_adapter_run_is_steered_from_the_panel_and_outlives_it() {
    let home = Home::new();
    let config = home.config("adapters.toml", ADAPTERS);
    let expected = home.unbroken(&config);
    let mut tui = Pty::start(home.path(), (120, 40), Terminal::Plain, &["watch"]);
    tui.until_shows("N new job");
    tui.send("N");
    tui.until_shows("New job");
    tui.send(&config.display().to_string());
    tui.send("\r");
    // The foreground run of the same configuration tells what it will need.
    tui.until("the check", |screen| screen.contains("good: about") && screen.contains("(as 01"));
    tui.send("\r");
    tui.until_shows("is queued");
    let jobs = home.json(&["jobs", "list"]);
    let id = jobs[0]["id"].as_str().expect("an id").to_string();
    // The cursor goes to the new run, and its curve moves.
    tui.send("/");
    tui.send(&id);
    tui.send("\r");
    tui.until("its steps", |screen| screen.contains("3/16 running"));
    tui.send("P");
    tui.until("the pause", |screen| screen.contains("/16 paused"));
    tui.send("P");
    tui.until("its going on", |screen| screen.contains("/16 running"));
    // The terminal is gone; the job is not.
    tui.child.kill().expect("kills");
    tui.ends();
    let before = home.job(&id)["step"].as_u64().expect("a step");
    home.until_step(&id, before + 1);
    let mut tui = Pty::start(home.path(), (80, 24), Terminal::Plain, &["watch"]);
    tui.until_shows("/16 running");
    tui.send("/");
    tui.send(&id);
    tui.send("\r");
    tui.send("X");
    tui.until_shows("Stop ");
    tui.send("y");
    tui.until("the stop", |screen| screen.contains("/16 stopped"));
    // Its page has what happened to it.
    tui.send("i");
    tui.until_shows("overview");
    tui.until_shows("asked to stop");
    tui.send("\x1b");
    home.json(&["jobs", "resume", &id]);
    home.until_state(&id, "finished");
    tui.until_shows("finished: 16 steps");
    assert!(tui.bytes().contains(&7), "no bell");
    tui.send("q");
    assert_eq!(tui.ends(), 0);
    assert_eq!(home.losses(&id), expected);
}

#[test]
fn a_run_of_the_foreground_is_stopped_from_the_panel_and_goes_on_as_a_job() {
    let home = Home::new();
    // Long enough to be met on its way.
    let config = home.config("long.toml", &QUICK.replace("steps = 60", "steps = 1500"));
    let path = config.display().to_string();
    let mut train =
        Pty::start(home.path(), (100, 30), Terminal::Plain, &["train", &path, "--name", "evening"]);
    let mut tui = Pty::start(home.path(), (120, 40), Terminal::Plain, &["watch"]);
    tui.until("its steps", |screen| screen.contains("/1500 running"));
    tui.until("a few of them", |screen| !screen.contains(" 0/1500"));
    let runs = home.json(&["runs", "list"]);
    let id = runs[0]["run"].as_str().expect("an id").to_string();
    let (code, _, err) = home.run(&["jobs", "resume", &id]);
    assert!(code == Some(1) && err.contains("running in the foreground; stop it first"), "{err}");
    tui.send("P");
    tui.until_shows("somebody's terminal");
    tui.send("X");
    tui.until_shows("Stop evening (01");
    tui.send("y");
    assert_eq!(train.ends(), 130);
    tui.until_shows("/1500 stopped");
    tui.send("P");
    tui.until("its going on", |screen| screen.contains("/1500 running"));
    let stood = home.job(&id)["step"].as_u64().expect("a step");
    home.until_step(&id, stood + 1);
    home.json(&["jobs", "stop", &id]);
    tui.until_shows("/1500 stopped");
    let steps: Vec<u64> = home.losses(&id).into_keys().collect();
    assert_eq!(steps, (1..=steps.len() as u64).collect::<Vec<_>>(), "none is left out or twice");
    tui.send("D");
    tui.until_shows("Delete evening (01");
    tui.send("y");
    tui.until_shows("is deleted");
    tui.until("no run", |screen| !screen.contains("/1500"));
    tui.send("q");
    tui.ends();
}
