//! Training runs in the background. Each job is a child process in its own session, so it outlives
//! the terminal, the connection and the user who submitted it.
//!
//! A job is a run directory with a `job/` directory in it, and shares the run's ID. All communication
//! goes through files: a client writes a request beside the run (`job/request.json`), and the one
//! supervisor of the data folder ([`Supervisor`]) carries it out. Any client that finds open jobs and
//! no supervisor starts one ([`ensure_supervisor`]); it exits when no job is open. On a cluster, Slurm
//! takes the supervisor's part ([`slurm`]).

mod job;
mod local;
mod queue;
mod remove;
mod request;
pub mod slurm;
mod submit;
mod supervisor;

use std::path::Path;

use artgpt_rundir::job::RecordError;

pub use job::{Damage, Job, find, list};
pub use local::{ensure_supervisor, last_lines, stop_foreground};
pub use queue::Slots;
pub use remove::remove;
pub use request::{RequestOutcome, request, stop_damaged};
pub use submit::{submit, submit_existing};
pub use supervisor::{OnJobEvent, Supervisor};

/// Why an operation on a job failed.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// No job has this ID, unique ID prefix, name or path.
    #[error("there is no job {0}")]
    Unknown(String),
    /// A process cannot be started.
    #[error("cannot start {what}: {reason}")]
    Start {
        /// The program.
        what: String,
        /// Why it did not start.
        reason: String,
    },
    /// A Slurm command is missing or exited with an error.
    #[error("{command} failed: {reason}")]
    Slurm {
        /// The command, such as `sbatch`.
        command: String,
        /// Its error output.
        reason: String,
    },
    /// `sbatch` did not say whether it took the job.
    #[error("sbatch did not say whether it took job {id}: {reason}")]
    Unsure {
        /// The run's ID.
        id: String,
        /// Its error output, or that there was none.
        reason: String,
    },
    /// Slurm does not say whether the job has ended, so that a second submission could run beside it.
    #[error("Slurm does not say whether job {id} has ended")]
    Silent {
        /// The run's ID.
        id: String,
    },
    /// The job's state does not allow the request.
    #[error("{id} is {state}")]
    Refused {
        /// The run's ID.
        id: String,
        /// Its state, in words that follow "is".
        state: &'static str,
        /// What to do instead.
        hint: &'static str,
    },
    /// Another run or job depends on the run.
    #[error("{id} is needed by {by}")]
    Needed {
        /// The run that was to be removed.
        id: String,
        /// The run that depends on it.
        by: String,
    },
    /// A record in `job/` cannot be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The run directory cannot be read or written.
    #[error(transparent)]
    Run(#[from] artgpt_rundir::RunError),
}

/// A result whose error is a [`JobError`].
pub type Result<T> = std::result::Result<T, JobError>;

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> JobError {
    let with_path = artgpt_rundir::io(path);
    |source| with_path(source).into()
}
