//! From a configuration to a queued job.

use std::path::Path;

use super::{Job, JobError, Result, io};
use artgpt_rundir::job::{self as record, JOB, Record, Request, Spec};
use artgpt_rundir::{RunDir, RunState, Status, TrainConfig, run_id};

/// Makes a job of a run that was begun in the foreground and stands still; it goes on where it stands.
pub fn enlist(path: &Path, spec: &Spec) -> Result<Job> {
    let id = run_id(path);
    let refused = |state, hint| Err(JobError::Refused { id: id.clone(), state, hint });
    let Ok(run) = RunDir::open(path) else {
        return refused("running in the foreground", "stop it first");
    };
    if Job::read(path)?.is_some() {
        return refused("a job", "resume it");
    }
    let config = run.config()?;
    let step = match run.status() {
        Ok(status) if status.state == RunState::Finished => {
            return refused("finished", "start a new run to train longer");
        }
        status => status.map_or(0, |status| status.step),
    };
    Status::now(RunState::Queued, step, config.total_steps(), None).write(path)?;
    spell(path, spec)
}

/// Makes the run, queued.
pub fn submit(runs: &Path, config: &TrainConfig, spec: &Spec) -> Result<Job> {
    let id = ulid::Ulid::generate().to_string();
    // Closed again: the process that trains opens it.
    let path = RunDir::create(runs, &id, config)?.path.clone();
    Status::now(RunState::Queued, 0, config.total_steps(), None).write(&path)?;
    spell(&path, spec)
}

fn spell(path: &Path, spec: &Spec) -> Result<Job> {
    let folder = path.join(JOB);
    std::fs::create_dir_all(&folder).map_err(io(&folder))?;
    record::write(path, Record::Request, &Request::default())?;
    // What makes it a job comes last.
    record::write(path, Record::Spec, spec)?;
    Job::read(path)?.ok_or_else(|| JobError::Unknown(path.display().to_string()))
}
