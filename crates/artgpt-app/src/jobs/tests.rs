//! Submitting and removing, without any process: the supervisor's lock is held.

use std::fs::File;
use std::path::Path;

use super::{SubmitRequest, check, queue, remove};
use crate::overrides::{Override, Sweep};
use crate::tests::{app, config_file};
use crate::{App, AppError};
use artgpt_jobs::JobError;
use artgpt_rundir::job::Place;
use artgpt_rundir::{RunDir, RunState, Status, TrainConfig};

/// As if a supervisor were there, which does nothing.
fn supervised(app: &App) -> File {
    let runs = app.paths.runs();
    std::fs::create_dir_all(&runs).expect("makes");
    let lock = File::create(runs.join(".supervisor.lock")).expect("makes");
    lock.try_lock().expect("is free");
    lock
}

fn request(config_file: &Path) -> SubmitRequest {
    SubmitRequest {
        config_file: config_file.to_path_buf(),
        set: Vec::new(),
        sweep: Vec::new(),
        name: None,
        priority: 0,
        after: Vec::new(),
        retries: SubmitRequest::RETRIES,
        on: Place::Local,
    }
}

#[test]
fn a_sweep_queues_a_job_for_each_combination() {
    let data = tempfile::tempdir().expect("a folder");
    let app = app(data.path());
    let _lock = supervised(&app);
    let change: Override = "checkpoint_every=7".parse().expect("a pair");
    let sweep = |text: &str| text.parse::<Sweep>().expect("a sweep");
    let request = SubmitRequest {
        set: vec![change],
        sweep: vec![sweep("seed=1,2"), sweep("stage.0.lr=0.1,0.2")],
        ..request(&config_file(data.path()))
    };
    let checked = check(&app, &request).expect("is right");
    assert!(super::all(&app).is_empty(), "a check queues nothing");
    let jobs = queue(&app, &request, &checked).expect("is queued");
    let names: Vec<_> = jobs.iter().map(|job| job.spec.name.clone().unwrap_or_default()).collect();
    assert_eq!(names[0], "quick seed=1 stage.0.lr=0.1");
    assert_eq!(names[3], "quick seed=2 stage.0.lr=0.2");
    assert_eq!((jobs.len(), super::all(&app).len()), (4, 4));
    let last = RunDir::follow(&jobs[3].path).and_then(|run| run.config()).expect("is there");
    assert_eq!((last.seed, last.stage[0].lr, last.checkpoint_every), (2, 0.2, 7));
}

#[test]
fn a_wrong_value_of_a_sweep_queues_nothing() {
    let data = tempfile::tempdir().expect("a folder");
    let app = app(data.path());
    let _lock = supervised(&app);
    let sweep = "held_out=1,9".parse().expect("a sweep");
    let request = SubmitRequest { sweep: vec![sweep], ..request(&config_file(data.path())) };
    assert!(matches!(check(&app, &request), Err(AppError::Art(_))));
    let request = SubmitRequest { after: vec!["01ZZ".into()], ..request };
    let request = SubmitRequest { sweep: Vec::new(), ..request };
    let error = check(&app, &request).expect_err("comes after nothing");
    assert!(matches!(error, AppError::Jobs(JobError::Unknown(_))), "{error:?}");
    assert!(super::all(&app).is_empty());
}

#[test]
fn what_is_used_is_not_removed() {
    let data = tempfile::tempdir().expect("a folder");
    let app = app(data.path());
    let _lock = supervised(&app);
    let config = config_file(data.path());
    let submit = |request: &SubmitRequest| {
        let checked = check(&app, request).expect("is right");
        queue(&app, request, &checked).expect("is queued").remove(0)
    };
    let first = submit(&request(&config));
    let refused = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        match remove(&app, &names) {
            Err(AppError::Jobs(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(refused(&[&first.id]), JobError::Refused { .. }));
    // Finished, and another run begins with its weights.
    Status::now(RunState::Finished, 1, 1, None).write(&first.path).expect("writes");
    let kept: TrainConfig = RunDir::follow(&first.path).and_then(|r| r.config()).expect("reads");
    let init = Some(first.path.join("weights.safetensors"));
    let child = TrainConfig { init, ..kept };
    drop(RunDir::create(&app.paths.runs(), "CHILD", &child).expect("makes"));
    assert!(matches!(refused(&[&first.id]), JobError::Needed { .. }));
    assert!(first.path.is_dir());
    let both = ["CHILD".to_string(), first.id.clone()];
    let mut removed = crate::runs::remove(&app, &both).expect("removes both");
    removed.sort();
    assert!(removed.contains(&"CHILD".to_string()) && !first.path.exists());
}
