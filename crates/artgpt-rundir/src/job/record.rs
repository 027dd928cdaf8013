//! The records of a job, in `job/` of its run: three files, each with one writer.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{RecordError, Result};
use crate::write_json;

/// The folder in a run that makes it a job.
pub const JOB: &str = "job";
/// The output of a job's processes, all attempts in order; in the run's folder.
pub const OUTPUT: &str = "output.log";

/// Limit on a record's bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Where a job runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// This machine.
    #[default]
    Local,
    /// A cluster's queue.
    Slurm,
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "local" => Ok(Self::Local),
            "slurm" => Ok(Self::Slurm),
            other => Err(format!("{other:?} is neither local nor slurm")),
        }
    }
}

/// `spec.json`: what was submitted. It never changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The job's name.
    #[serde(default)]
    pub name: Option<String>,
    /// When it was submitted.
    pub submitted: jiff::Timestamp,
    /// Where it runs.
    #[serde(default)]
    pub on: Place,
    /// The device, as in `--device`.
    pub device: String,
    /// Higher priorities start first.
    #[serde(default)]
    pub priority: i32,
    /// Jobs that must have finished before this one starts.
    #[serde(default)]
    pub after: Vec<String>,
    /// Max restarts after crashes without a step of progress in between.
    #[serde(default)]
    pub retries: u32,
    /// Expected memory, bytes.
    #[serde(default)]
    pub memory: Option<u64>,
    /// The program that trains.
    pub program: PathBuf,
    /// The settings file that it reads.
    pub settings: PathBuf,
}

/// `request.json`: the user's last request. The CLI and the TUI write it; the supervisor reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The request.
    pub wanted: Wanted,
    /// Number of the request, so that repeating it is a new request.
    pub number: u64,
}

/// A request about a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// Start or resume.
    Run,
    /// Stop with a checkpoint, to resume later.
    Pause,
    /// Stop with a checkpoint.
    Stop,
}

impl Default for Request {
    fn default() -> Self {
        Self { wanted: Wanted::Run, number: 0 }
    }
}

/// `progress.json`: the progress of a job. The supervisor writes it, or `submit` for Slurm jobs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Number of the last request to run that the supervisor followed.
    #[serde(default)]
    pub followed: u64,
    /// Process ID of the last start.
    #[serde(default)]
    pub pid: Option<u32>,
    /// The process that got a signal to end; a second signal would end it without a checkpoint.
    #[serde(default)]
    pub asked: Option<u32>,
    /// The device that it occupies: `cpu`, `cuda:0`.
    #[serde(default)]
    pub slot: Option<String>,
    /// Starts so far.
    #[serde(default)]
    pub starts: u32,
    /// Crashes since the last progress.
    #[serde(default)]
    pub crashes: u32,
    /// Step of the last crash.
    #[serde(default)]
    pub crashed_at: usize,
    /// Earliest time of the next start.
    #[serde(default)]
    pub not_before: Option<jiff::Timestamp>,
    /// Why it does not run yet.
    #[serde(default)]
    pub waits_for: Option<String>,
    /// Slurm's job ID, `123`, or `123_4` in an array.
    #[serde(default)]
    pub slurm_id: Option<String>,
    /// A submission to Slurm whose job ID is not known yet. It is written before `sbatch` starts, so that
    /// a crash in between does not lead to a second submission.
    #[serde(default)]
    pub submitting: Option<Submitting>,
    /// Since when Slurm does not say what became of the job; its state is the one last seen.
    #[serde(default)]
    pub unknown_since: Option<jiff::Timestamp>,
    /// When Slurm first did not know the job any more, without any error.
    #[serde(default)]
    pub missed: Option<jiff::Timestamp>,
    /// The Slurm job that the user's request to stop has cancelled.
    #[serde(default)]
    pub cancelled: Option<String>,
    /// The Slurm job whose end Slurm has reported.
    #[serde(default)]
    pub ended: Option<String>,
}

/// A call of `sbatch` whose answer is not recorded yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Submitting {
    /// The file that receives what `sbatch` prints.
    pub output: PathBuf,
    /// The name of the Slurm job.
    pub name: String,
    /// The task in a job array.
    #[serde(default)]
    pub task: Option<usize>,
}

/// A file of `job/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// [`Spec`].
    Spec,
    /// [`Request`].
    Request,
    /// [`Progress`].
    Progress,
}

impl Record {
    /// Its file in the folder of a run.
    pub fn path(self, run: &Path) -> PathBuf {
        run.join(JOB).join(match self {
            Self::Spec => "spec.json",
            Self::Request => "request.json",
            Self::Progress => "progress.json",
        })
    }
}

/// Reads a record; `None` if the file does not exist.
///
/// # Errors
/// [`RecordError::Damaged`] if it does not parse, [`RecordError::Run`].
pub fn read<T: DeserializeOwned>(run: &Path, kind: Record) -> Result<Option<T>> {
    let path = kind.path(run);
    let bytes = match artgpt_base::files::read_limited(&path, MAX_BYTES) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(super::io(&path))?,
    };
    let wrong = |e: serde_json::Error| RecordError::Damaged {
        path: path.display().to_string(),
        reason: e.to_string(),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(wrong)
}

/// Writes a record.
///
/// # Errors
/// [`RecordError::Run`].
pub fn write(run: &Path, kind: Record, value: &impl Serialize) -> Result<()> {
    Ok(write_json(&kind.path(run), value)?)
}
