//! Jobs as a user has them: processes that are killed, a supervisor that is killed, and a run that
//! comes out as if nothing had happened.

use std::time::{Duration, Instant};

use crate::common::home::{Home, QUICK, kill, pid, terminate};
use crate::common::wait;

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
    wait::until("the end of its process", || match home.trainers(&id)[..] {
        [] => Ok(()),
        _ => Err(home.log()),
    });
    // The supervisor looks at its jobs several times in this while.
    wait::stays("the pause", Duration::from_secs(1), || {
        home.trainers(&id).is_empty() && home.job(&id)["step"] == before["step"]
    });
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
    let begun = home.beginnings(&id);
    home.json(&["jobs", "resume", &id]);
    // Somebody else ends it, as a system that shuts down does: it goes on.
    let job = home.until(&id, "its training", |job| {
        job["state"] == "running" && home.beginnings(&id) > begun
    });
    let starts = job["starts"].as_u64();
    terminate(pid(&job));
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
    wait::until("the end of the supervisor", || match home.supervisors()[..] {
        [] => Ok(()),
        _ => Err(home.log()),
    });
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
