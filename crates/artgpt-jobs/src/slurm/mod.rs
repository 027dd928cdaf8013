//! Jobs in a cluster's queue, where Slurm takes the supervisor's part.
//!
//! A job is one `sbatch` script that resumes the run at its current step, so a job that is preempted or
//! reaches its time limit is requeued. What Slurm says of a job becomes its state in `transition.rs`;
//! `submission.rs` sees to it that a job is never submitted twice.

mod answers;
mod command;
mod refresh;
mod script;
mod steer;
mod submission;
mod transition;

use std::path::PathBuf;

pub use refresh::refresh;
pub use steer::apply_request;
pub(crate) use steer::cancel;
pub use submission::submit;

/// What a submission takes from the submitting process.
#[derive(Debug, Clone)]
pub struct Submitter {
    /// The data folder, an absolute path.
    pub data: PathBuf,
    /// Environment variables that jobs do not inherit (thread counts for inference).
    pub without: Vec<&'static str>,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::Job;
    use artgpt_rundir::job::{Place, Progress, Request, Spec};
    use artgpt_rundir::{RunState, Status};

    pub(super) fn job(id: &str) -> Job {
        Job {
            id: id.into(),
            path: Path::new("/runs").join(id),
            spec: Spec {
                name: None,
                submitted: jiff::Timestamp::UNIX_EPOCH,
                on: Place::Slurm,
                device: "cuda:0".into(),
                priority: 3,
                after: Vec::new(),
                retries: 0,
                memory: None,
                program: "/bin/artgpt-tui".into(),
                settings: "/no/config.toml".into(),
            },
            request: Request::default(),
            progress: Progress::default(),
            status: Status::now(RunState::Queued, 0, 10, None),
            damage: None,
        }
    }
}
