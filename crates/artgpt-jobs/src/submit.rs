//! Turns a training configuration, or an existing run, into a queued job.

use std::path::Path;

use super::{Job, JobError, Result, io};
use artgpt_rundir::job::{self as record, JOB, Record, Request, Spec};
use artgpt_rundir::{RunDir, RunState, Status, TrainConfig, run_id};

/// Turns a run that was started in the foreground into a queued job, which resumes at the run's current
/// step. `path` is the run directory.
///
/// # Errors
/// [`JobError::Refused`] if the run is in use, finished or a job already, otherwise the errors of
/// reading and writing the run directory.
pub fn submit_existing(path: &Path, spec: &Spec) -> Result<Job> {
    let id = run_id(path);
    let refused = |state, hint| Err(JobError::Refused { id: id.clone(), state, hint });
    let Ok(run) = RunDir::open(path) else {
        return refused("running in the foreground", "stop it first");
    };
    if Job::read(path).is_some() {
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
    write_records(path, spec)
}

/// Creates a run directory with a new ID below `runs`, in the state queued.
///
/// # Errors
/// Those of creating the run directory and of writing its records.
pub fn submit(runs: &Path, config: &TrainConfig, spec: &Spec) -> Result<Job> {
    let id = ulid::Ulid::generate().to_string();
    let path = runs.join(&id);
    let submitted = (|| {
        // The temporary `RunDir` releases its lock here: the training process takes it.
        drop(RunDir::create(runs, &id, config)?);
        Status::now(RunState::Queued, 0, config.total_steps(), None).write(&path)?;
        write_records(&path, spec)
    })();
    if submitted.is_err() {
        // On a full disk, half a run would stay behind.
        let _ = std::fs::remove_dir_all(&path);
    }
    submitted
}

fn write_records(path: &Path, spec: &Spec) -> Result<Job> {
    let folder = path.join(JOB);
    std::fs::create_dir_all(&folder).map_err(io(&folder))?;
    record::write(path, Record::Request, &Request::default())?;
    // The run becomes a job with its spec, so write that last.
    record::write(path, Record::Spec, spec)?;
    Job::read(path).ok_or_else(|| JobError::Unknown(path.display().to_string()))
}
