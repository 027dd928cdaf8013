//! Jobs as a user has them: processes that are killed, a supervisor that is killed, a terminal that is
//! killed, and a run that comes out as if nothing had happened.

mod common;
#[path = "common/home.rs"]
mod home;
#[path = "common/pty.rs"]
mod pty;

use std::time::{Duration, Instant};

use home::{ADAPTERS, Home, PATIENCE, QUICK, kill, pid, terminate};
use pty::{Pty, Terminal};

#[test]
fn a_job_survives_kills_pauses_and_stops_and_comes_out_the_same() {
    let home = Home::new();
    let told = home.path().join("told");
    let settings = home.path().join("config/artgpt-tui");
    std::fs::create_dir_all(&settings).expect("makes");
    let notices =
        format!("[notices]\ncommand = [\"touch\", \"{}-{{run}}-{{what}}\"]\n", told.display());
    std::fs::write(settings.join("config.toml"), notices).expect("writes");
    // Long enough that it has not ended before it is asked to pause.
    let config = home.config("quick.toml", &QUICK.replace("steps = 60", "steps = 150"));
    let expected = home.unbroken(&config);
    let id = home.submit(&config, &[]).remove(0);
    let job = home.until_step(&id, 13);
    let session = |pid: u32| rustix::process::getsid(rustix::process::Pid::from_raw(pid as i32));
    assert_ne!(session(pid(&job)).ok(), session(std::process::id()).ok());
    // Thread counts that are meant for chatting would halve its speed.
    let environment = std::fs::read(format!("/proc/{}/environ", pid(&job))).expect("Linux");
    let own = std::env::var_os("RAYON_NUM_THREADS").is_some();
    assert!(own || !String::from_utf8_lossy(&environment).contains("RAYON_NUM_THREADS"));
    // Its process is killed: it starts again from its checkpoint.
    kill(pid(&job));
    let again =
        home.until(&id, "another start", |job| job["starts"] == 2 && job["state"] == "running");
    // Its supervisor is killed: the job goes on, and the next command finds it again.
    home.supervisors().into_iter().for_each(kill);
    // The step alone may still be the killed process's word.
    home.until(&id, "its going on", |_| home.beginnings(&id) == 2);
    assert_eq!(home.supervisors().len(), 1);
    assert_eq!(home.job(&id)["starts"], again["starts"]);
    let paused = home.json(&["jobs", "pause", &id]);
    assert_eq!(paused[0]["state"], "paused", "{}", home.log());
    let before = home.job(&id);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(home.job(&id)["step"], before["step"]);
    // With nothing running, a paused job can still be stopped.
    let stopped = home.json(&["jobs", "stop", &id]);
    assert_eq!(stopped[0]["state"], "stopped", "{}", home.log());
    // It is not trained beside the queue.
    let (code, _, err) = home.run(&["train", "--resume", &id]);
    assert!(code == Some(2) && err.contains("jobs resume"), "{err}");
    home.json(&["jobs", "resume", &id]);
    home.until_state(&id, "running");
    let stopped = home.json(&["jobs", "stop", &id]);
    assert!(stopped[0]["state"] == "stopped", "{}", home.log());
    home.json(&["jobs", "resume", &id]);
    // Somebody else ends it, as a system that shuts down does: it goes on.
    let job = home.until(&id, "a process", |job| job["state"] == "running");
    let starts = job["starts"].as_u64();
    std::thread::sleep(Duration::from_secs(3));
    terminate(pid(&home.job(&id)));
    home.until(&id, "another start", |job| {
        job["starts"].as_u64() > starts || job["state"] == "finished"
    });
    home.until_state(&id, "finished");
    assert_eq!(home.losses(&id), expected);
    // What trained again after the pause told so; a process that is ended while it loads does not.
    assert!(
        home.beginnings(&id) >= 3 && home.marks(&id).contains("finished"),
        "{}",
        home.marks(&id)
    );
    // Nothing is left to do: the supervisor goes.
    let deadline = Instant::now() + PATIENCE;
    while !home.supervisors().is_empty() {
        assert!(Instant::now() < deadline, "{}", home.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    let notice = home.path().join(format!("told-{id}-finished"));
    assert!(notice.is_file(), "the user's command was not called");
    let (code, _, err) = home.run(&["jobs", "pause", &id]);
    assert!(code == Some(1) && err.contains("finished"), "{err}");
}

#[test]
fn jobs_wait_for_one_another_and_tell_why_they_failed() {
    let home = Home::new();
    let config = home.config("quick.toml", QUICK);
    let short = ["--set", "stage.0.steps=4", "--set", "checkpoint_every=4"];
    let first = home.submit(&config, &short).remove(0);
    let second = home.submit(&config, &[&short[..], &["--after", &first]].concat()).remove(0);
    let swept = home.submit(&config, &[&short[..], &["--sweep", "seed=1,2"]].concat());
    assert_eq!(swept.len(), 2);
    // Submitted last, and started before those that wait.
    let urgent = home.submit(&config, &[&short[..], &["--priority", "9"]].concat()).remove(0);
    let log = home.run(&["jobs", "logs", "-f", &first]);
    assert!(log.0 == Some(0) && log.1.contains("talk to it"), "{log:?}");
    for id in [&second, &swept[0], &swept[1], &urgent] {
        home.until_state(id, "finished");
    }
    let started = |id: &str| home.log().find(&format!("{id} starts")).expect("it started");
    assert!(started(&urgent) < started(&swept[0]), "{}", home.log());
    assert!(started(&first) < started(&second));
    // What cannot work is refused before it waits.
    for (more, word) in [
        (vec!["--set", "data=nowhere"], "nowhere"),
        (vec!["--set", "stage.0.lr=50"], "lr"),
        (vec!["--set", "held_out=5000"], "held_out = 5000 leaves nothing"),
        (vec!["--after", "01ZZ"], "there is no job 01ZZ"),
    ] {
        let path = config.display().to_string();
        let args = [vec!["jobs", "submit", "train", &path], more].concat();
        let (code, _, err) = home.run(&args);
        assert!(code.is_some_and(|c| c > 0) && err.contains(word), "{args:?}: {err}");
    }
    // What fails later says so, with its last lines, and takes along what comes after it.
    let weights = home.path().join("weights.safetensors");
    let init = format!("init={}", weights.display());
    std::fs::write(&weights, "no weights").expect("writes");
    let bad = home.submit(&config, &["--set", &init]).remove(0);
    let child = home.submit(&config, &["--after", &bad]).remove(0);
    let failed = home.until_state(&bad, "failed");
    assert!(failed["exit_reason"].to_string().contains("weights.safetensors"), "{failed:#}");
    let shown = home.run(&["jobs", "show", &bad]).1;
    assert!(shown.contains("its last lines:") && shown.contains("weights.safetensors"), "{shown}");
    let child = home.until_state(&child, "failed");
    assert!(child["exit_reason"].to_string().contains("which it comes after, failed"), "{child:#}");
    let names = home.run(&["jobs", "list"]).1;
    assert_eq!(names.lines().count(), 7, "{names}");
    // Jobs go by what people call them, are asked to end before their first step, and are removed.
    let named = ["--name", "warm", "--sweep", "seed=1,2", "--set", "stage.0.steps=1000000"];
    let warm = home.submit(&config, &named);
    home.until_state(&warm[0], "running");
    let began = Instant::now();
    assert_eq!(home.json(&["jobs", "pause", "warm seed=1"])[0]["state"], "paused");
    assert!(began.elapsed() < Duration::from_secs(60));
    let listed = home.run(&["runs", "list"]).1;
    assert!(listed.contains("warm seed=2"), "{listed}");
    let (code, _, err) = home.run(&["jobs", "remove", "warm seed=1"]);
    assert!(code == Some(1) && err.contains("stop it first"), "{err}");
    home.json(&["jobs", "stop", &warm[0], &warm[1]]);
    home.run(&["jobs", "remove", &warm[0], "warm seed=2"]);
    let (code, _, err) = home.run(&["jobs", "show", &warm[0]]);
    assert!(code == Some(1) && err.contains("there is no job"), "{err}");
    assert!(!home.path().join("runs").join(&warm[1]).exists());
}

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
