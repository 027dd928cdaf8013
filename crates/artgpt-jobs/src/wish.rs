//! What a user asks of a job, and whether it can be.

use super::{Job, JobError, Result};
use artgpt_rundir::RunState;
use artgpt_rundir::job::{self as record, Record, Request, Wanted};

/// What became of a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// It stands so already.
    Already,
    /// Written down for the supervisor.
    Asked,
}

/// Writes a wish beside the run; refuses what cannot be.
pub fn wish(job: &Job, wanted: Wanted) -> Result<Wish> {
    match possible(job, wanted)? {
        Wish::Already => Ok(Wish::Already),
        Wish::Asked => {
            let request = Request { wanted, number: job.request.number + 1 };
            record::write(&job.path, Record::Request, &request)?;
            Ok(Wish::Asked)
        }
    }
}

fn possible(job: &Job, wanted: Wanted) -> Result<Wish> {
    let refused = |state, hint| Err(JobError::Refused { id: job.id.clone(), state, hint });
    let same = job.request.wanted == wanted;
    match (job.status.state, wanted) {
        (RunState::Finished, Wanted::Run) => refused("finished", "start a new run to train longer"),
        (RunState::Finished, _) => refused("finished", "nothing of it is left to do"),
        (RunState::Failed | RunState::Stopped, Wanted::Pause) => {
            refused("not running", "resume it first")
        }
        (RunState::Stopped | RunState::Failed, Wanted::Stop) => Ok(Wish::Already),
        (RunState::Paused, Wanted::Pause) => Ok(Wish::Already),
        (RunState::Queued | RunState::Running, _) if same => Ok(Wish::Already),
        _ => Ok(Wish::Asked),
    }
}
