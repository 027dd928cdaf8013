//! A job and its records on disk.

use std::path::{Path, PathBuf};

use super::{JobError, Result};
use artgpt_rundir::job::named;
use artgpt_rundir::job::{
    self as record, JOB, Place, Progress, Record, RecordError, Request, Spec, Wanted,
};
use artgpt_rundir::{RunState, Status, run_folders, run_id};

/// A job with all its records, as they were when it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The run's ID.
    pub id: String,
    /// The run directory.
    pub path: PathBuf,
    /// What was submitted; it never changes.
    pub spec: Spec,
    /// The user's last request.
    pub request: Request,
    /// The supervisor's (or Slurm's) bookkeeping.
    pub progress: Progress,
    /// The run's state and step.
    pub status: Status,
}

impl Job {
    /// Reads the job in a run directory; `None` if the run is no job.
    ///
    /// # Errors
    /// [`JobError::Record`] if a record cannot be read or parsed.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let Some(spec) = record::read(path, Record::Spec)? else { return Ok(None) };
        let id = run_id(path);
        Ok(Some(Self {
            id,
            path: path.to_path_buf(),
            spec,
            request: record::read(path, Record::Request)?.unwrap_or_default(),
            progress: record::read(path, Record::Progress)?.unwrap_or_default(),
            status: Status::read(path).unwrap_or_else(|| Status::now(RunState::Queued, 0, 0, None)),
        }))
    }

    /// Whether its state can still change without a new request.
    pub fn is_open(&self) -> bool {
        match self.status.state {
            RunState::Queued | RunState::Running => true,
            RunState::Finished => false,
            RunState::Failed => self.has_pending_resume(),
            RunState::Paused => self.has_pending_resume() || self.request.wanted == Wanted::Stop,
            // The process ended on its way to the requested state, or somebody else ended it.
            RunState::Stopped => self.request.wanted != Wanted::Stop,
        }
    }

    /// Whether the user requested to resume it and no start has followed yet.
    pub(crate) fn has_pending_resume(&self) -> bool {
        self.request.wanted == Wanted::Run && self.request.number > self.progress.followed
    }

    /// Whether the supervisor of this machine runs it, not Slurm.
    pub(crate) fn is_local(&self) -> bool {
        self.spec.on == Place::Local
    }
}

/// All jobs below a runs directory, oldest first. Skips a job whose records cannot be read, so that it
/// does not hide the others.
pub fn list(runs: &Path) -> Vec<Job> {
    let folders = run_folders(runs).into_iter().filter(|p| p.join(JOB).is_dir());
    let mut all: Vec<Job> = folders.filter_map(|p| Job::read(&p).ok().flatten()).collect();
    all.sort_by(|a, b| (a.spec.submitted, &a.id).cmp(&(b.spec.submitted, &b.id)));
    all
}

/// Finds a job by ID, unique ID prefix, name or run directory.
///
/// # Errors
/// [`JobError::Unknown`] if no job matches, [`JobError::Record`] if several match or a record cannot be
/// read.
pub fn find(runs: &Path, name: &str) -> Result<Job> {
    let unknown = || JobError::Unknown(artgpt_base::text::printable(name));
    match named(runs, name) {
        Err(RecordError::NoRun { .. }) => Err(unknown()),
        Err(e) => Err(e.into()),
        Ok(path) => Job::read(&path)?.ok_or_else(unknown),
    }
}
