//! Requests to resume, pause or stop a job, and when the job's state allows them.

use super::{Job, JobError, Result};
use artgpt_rundir::RunState;
use artgpt_rundir::job::{self as record, Record, Request, Wanted};

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
        let request = Request { wanted, number: job.request.number + 1 };
        record::write(&job.path, Record::Request, &request)?;
    }
    Ok(outcome)
}

fn validate(job: &Job, wanted: Wanted) -> Result<RequestOutcome> {
    let refused = |state, hint| Err(JobError::Refused { id: job.id.clone(), state, hint });
    let same = job.request.wanted == wanted;
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
