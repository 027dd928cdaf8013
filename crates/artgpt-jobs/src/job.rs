//! A job and its records on disk.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

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
    /// The record that cannot be read; its values here are defaults. Such a job does nothing, but it
    /// stays in the list and can be removed.
    pub damage: Option<Damage>,
}

/// A record of a job that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The record.
    pub record: Record,
    /// What is wrong with which file.
    pub reason: String,
}

impl Job {
    /// Reads the job in a run directory; `None` if the run is no job. A record that cannot be read or
    /// parsed is the job's [`Damage`].
    pub fn read(path: &Path) -> Option<Self> {
        let mut damage = None;
        let progress: Progress = readable(path, Record::Progress, &mut damage).unwrap_or_default();
        let request = readable(path, Record::Request, &mut damage).unwrap_or_default();
        let spec = readable(path, Record::Spec, &mut damage);
        if spec.is_none() && damage.as_ref().is_none_or(|d| d.record != Record::Spec) {
            return None;
        }
        Some(Self {
            id: run_id(path),
            path: path.to_path_buf(),
            spec: spec.unwrap_or_else(|| unknown_spec(path, &progress)),
            request,
            progress,
            status: Status::read(path).unwrap_or_else(|| Status::now(RunState::Queued, 0, 0, None)),
            damage,
        })
    }

    /// Whether its state can still change without a new request.
    pub fn is_open(&self) -> bool {
        if self.damage.is_some() {
            return false;
        }
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

/// Reads a record. The first that cannot be read is the damage; one of the spec counts for more.
fn readable<T: DeserializeOwned>(
    run: &Path,
    record: Record,
    damage: &mut Option<Damage>,
) -> Option<T> {
    match record::read(run, record) {
        Ok(value) => value,
        Err(e) => {
            if damage.is_none() || record == Record::Spec {
                *damage = Some(Damage { record, reason: e.to_string() });
            }
            None
        }
    }
}

/// What is known of a job without its spec: when its directory was made, and whether Slurm has it.
fn unknown_spec(run: &Path, progress: &Progress) -> Spec {
    let id = ulid::Ulid::from_string(&run_id(run)).map(|id| id.timestamp_ms()).unwrap_or(0);
    let made = i64::try_from(id).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let in_slurm = progress.slurm_id.is_some() || progress.submitting.is_some();
    Spec {
        name: None,
        submitted: made.unwrap_or(jiff::Timestamp::UNIX_EPOCH),
        on: if in_slurm { Place::Slurm } else { Place::Local },
        device: "unknown".into(),
        priority: 0,
        after: Vec::new(),
        retries: 0,
        memory: None,
        program: PathBuf::new(),
        settings: PathBuf::new(),
    }
}

/// All jobs below a runs directory, oldest first, also those with a record that cannot be read.
pub fn list(runs: &Path) -> Vec<Job> {
    let folders = run_folders(runs).into_iter().filter(|p| p.join(JOB).is_dir());
    let mut all: Vec<Job> = folders.filter_map(|p| Job::read(&p)).collect();
    all.sort_by(|a, b| (a.spec.submitted, &a.id).cmp(&(b.spec.submitted, &b.id)));
    all
}

/// Finds a job by ID, unique ID prefix, name or run directory.
///
/// # Errors
/// [`JobError::Unknown`] if no job matches, [`JobError::Record`] if several match.
pub fn find(runs: &Path, name: &str) -> Result<Job> {
    let unknown = || JobError::Unknown(artgpt_base::text::printable(name));
    match named(runs, name) {
        Err(RecordError::NoRun { .. }) => Err(unknown()),
        Err(e) => Err(e.into()),
        Ok(path) => Job::read(&path).ok_or_else(unknown),
    }
}
