//! Requests to resume, pause or stop a job, and when the job's state allows them.

use super::{Job, JobError, Result, slurm, stop_foreground};
use artgpt_rundir::job::{self as record, Progress, Record, Request, Wanted};
use artgpt_rundir::{RunDir, RunState, Status};

/// What [`request`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestOutcome {
    /// The job is in the requested state already, or the same request is pending.
    Unchanged,
    /// The request is written for the supervisor.
    Written,
}

/// Writes a request beside the run (`job/request.json`).
///
/// # Errors
/// [`JobError::Refused`] if the job's state does not allow the request, otherwise the errors of writing
/// the record.
pub fn request(job: &Job, wanted: Wanted) -> Result<RequestOutcome> {
    let outcome = validate(job, wanted)?;
    if outcome == RequestOutcome::Written {
        if job.damage.as_ref().is_some_and(|damage| damage.record == Record::Progress) {
            record::write(&job.path, Record::Progress, &Progress::default())?;
        }
        // After a request that cannot be read the number is lost, but not which was followed last.
        let last = job.request.number.max(job.progress.followed);
        let request = Request { wanted, number: last + 1 };
        record::write(&job.path, Record::Request, &request)?;
    }
    Ok(outcome)
}

/// Stops a job whose spec cannot be read, so that no supervisor looks after it: its process, and its job
/// in Slurm.
///
/// # Errors
/// [`JobError::Slurm`] if Slurm refuses, otherwise the errors of stopping the process and of writing the
/// status.
pub fn stop_damaged(job: &Job) -> Result<()> {
    if let Some(id) = &job.progress.slurm_id {
        slurm::cancel(id)?;
    }
    if RunDir::is_open(&job.path) {
        return stop_foreground(&job.path);
    }
    let status = &job.status;
    let why = Some("asked to stop".to_string());
    Ok(Status::now(RunState::Stopped, status.step, status.total_steps, why).write(&job.path)?)
}

fn validate(job: &Job, wanted: Wanted) -> Result<RequestOutcome> {
    let refused = |state, hint| Err(JobError::Refused { id: job.id.clone(), state, hint });
    let same = job.request.wanted == wanted;
    match job.damage.as_ref().map(|damage| damage.record) {
        Some(Record::Spec) => {
            return refused(
                "damaged: its spec.json cannot be read",
                "remove it, or repair the file",
            );
        }
        // The Slurm job's ID is lost with it.
        Some(Record::Progress) if !job.is_local() => {
            return refused(
                "damaged: its progress.json cannot be read",
                "repair or remove the file",
            );
        }
        // Writing it anew repairs it.
        Some(Record::Progress | Record::Request) => return Ok(RequestOutcome::Written),
        None => {}
    }
    match (job.status.state, wanted) {
        (RunState::Finished, Wanted::Run) => refused("finished", "start a new run to train longer"),
        (RunState::Finished, _) => refused("finished", "it has nothing left to pause or stop"),
        (RunState::Failed | RunState::Stopped, Wanted::Pause) => {
            refused("not running", "resume it first")
        }
        (RunState::Stopped | RunState::Failed, Wanted::Stop) => Ok(RequestOutcome::Unchanged),
        (RunState::Paused, Wanted::Pause) => Ok(RequestOutcome::Unchanged),
        (RunState::Queued | RunState::Running, _) if same => Ok(RequestOutcome::Unchanged),
        _ => Ok(RequestOutcome::Written),
    }
}
