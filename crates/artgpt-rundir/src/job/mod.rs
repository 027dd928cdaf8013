//! `job/` of a run: the records that make it a job, and the look-up of runs by name.

mod ending;
mod named;
mod record;

use std::path::Path;

pub use ending::{asked, begun, ending, note_asked};
pub use named::{REMOVED, called, named};
pub use record::{
    JOB, OUTPUT, Place, Progress, Record, Request, Spec, Submitting, Wanted, read, write,
};

use crate::RunError;

/// What can go wrong with the records of a job.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// No run has this id, unique id prefix, name or path.
    #[error("there is no run {name}")]
    NoRun {
        /// What was asked for.
        name: String,
        /// The folder that was searched.
        runs: String,
    },
    /// Several runs match.
    #[error("more than one run is called {name}: {ids}")]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// Ids of the runs that match.
        ids: String,
    },
    /// A record is damaged.
    #[error("{path} cannot be read: {reason}")]
    Damaged {
        /// The record's file.
        path: String,
        /// What the parser says.
        reason: String,
    },
    /// A file of the run cannot be read or written.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// A result whose error is about the records of a job.
pub type Result<T> = std::result::Result<T, RecordError>;

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> RecordError {
    let with_path = crate::io(path);
    |source| with_path(source).into()
}
