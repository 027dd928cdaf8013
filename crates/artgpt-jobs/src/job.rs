//! A job as it stands on disk.

use std::path::{Path, PathBuf};

use super::{JobError, Result};
use artgpt_rundir::job::named;
use artgpt_rundir::job::{
    self as record, JOB, Place, Progress, Record, RecordError, Request, Spec, Wanted,
};
use artgpt_rundir::{RunState, Status, run_folders, run_id};

/// All that is known of one job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub id: String,
    /// The run's folder.
    pub path: PathBuf,
    pub spec: Spec,
    pub request: Request,
    pub progress: Progress,
    pub status: Status,
}

impl Job {
    /// `None` where the run is no job.
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

    /// Whether more may come of it without a word of the user's.
    pub fn is_open(&self) -> bool {
        match self.status.state {
            RunState::Queued | RunState::Running => true,
            RunState::Finished => false,
            RunState::Failed => self.is_asked_again(),
            RunState::Paused => self.is_asked_again() || self.request.wanted == Wanted::Stop,
            // Its process has written its last word, on its way to what is wanted; or somebody else
            // ended it.
            RunState::Stopped => self.request.wanted != Wanted::Stop,
        }
    }

    /// The user wants it to go on, and that was not followed yet.
    pub fn is_asked_again(&self) -> bool {
        self.request.wanted == Wanted::Run && self.request.number > self.progress.followed
    }

    pub fn is_local(&self) -> bool {
        self.spec.on == Place::Local
    }
}

/// All jobs of a folder of runs, the oldest first. One whose record cannot be read is passed over: it
/// must not hide the others.
pub fn list(runs: &Path) -> Vec<Job> {
    let folders = run_folders(runs).into_iter().filter(|p| p.join(JOB).is_dir());
    let mut all: Vec<Job> = folders.filter_map(|p| Job::read(&p).ok().flatten()).collect();
    all.sort_by(|a, b| (a.spec.submitted, &a.id).cmp(&(b.spec.submitted, &b.id)));
    all
}

/// A job by its id, the beginning of it, its name, or its folder.
pub fn find(runs: &Path, name: &str) -> Result<Job> {
    let unknown = || JobError::Unknown(artgpt_base::text::printable(name));
    match named(runs, name) {
        Err(RecordError::NoRun { .. }) => Err(unknown()),
        Err(e) => Err(e.into()),
        Ok(path) => Job::read(&path)?.ok_or_else(unknown),
    }
}
