//! Training runs in the background: a run as a child process in a session of its own, which outlives the
//! terminal, the connection and whoever submitted it.
//!
//! A job is a run folder with a folder `job/` in it, and has the run's id. Nobody talks to anybody: who
//! wants something writes it beside the run (`job/request.json`), and one supervisor a data folder does it
//! ([`Supervisor`]). It is started by whoever finds that there is work and none is there, and ends when
//! there is none. On a cluster Slurm is all this itself ([`slurm`]).

mod job;
mod local;
mod queue;
mod remove;
pub mod slurm;
mod submit;
mod supervisor;
mod wish;

use std::path::Path;

use artgpt_rundir::job::RecordError;

pub use job::{Job, find, list};
pub use local::{ensure_supervisor, last_lines, stop_foreground};
pub use queue::Slots;
pub use remove::remove;
pub use submit::{enlist, submit};
pub use supervisor::Supervisor;
pub use wish::{Wish, wish};

#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error("there is no job {0}; `artgpt-tui jobs list` shows them")]
    Unknown(String),
    #[error("cannot read or write {path}: {source}; check permissions and free space")]
    Io {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot start {what}: {reason}; check that it is installed and may be run")]
    Start { what: String, reason: String },
    #[error("{command} says: {reason}; see its own manual, or use --on local")]
    Slurm { command: String, reason: String },
    #[error("{id} is {state}; {hint}")]
    Refused { id: String, state: &'static str, hint: &'static str },
    #[error("{id} is needed by {by}; remove that one first, or with it")]
    Needed { id: String, by: String },
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Run(#[from] artgpt_rundir::RunError),
}

pub type Result<T> = std::result::Result<T, JobError>;

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> JobError {
    let path = path.display().to_string();
    |source| JobError::Io { path, source }
}
