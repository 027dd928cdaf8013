//! What is kept of a job, in `job/` of its run: three files, each with one writer.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{RecordError, Result};
use crate::write_json;

/// The folder in a run that makes it a job.
pub const JOB: &str = "job";
/// What the processes of a job print, all attempts one after the other; in the run's folder.
pub const OUTPUT: &str = "output.log";

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
    /// What people call it.
    #[serde(default)]
    pub name: Option<String>,
    pub submitted: jiff::Timestamp,
    #[serde(default)]
    pub on: Place,
    /// As in `--device`.
    pub device: String,
    /// Higher ones come first.
    #[serde(default)]
    pub priority: i32,
    /// Jobs that must have finished before this one starts.
    #[serde(default)]
    pub after: Vec<String>,
    /// Starts after crashes without a step of progress between them.
    #[serde(default)]
    pub retries: u32,
    /// What it is expected to need, bytes.
    #[serde(default)]
    pub memory: Option<u64>,
    /// The program that trains, and the settings it reads.
    pub program: PathBuf,
    pub settings: PathBuf,
}

/// `request.json`: what the user wants of a job. Who asks writes it; the supervisor reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub wanted: Wanted,
    /// Counts the requests, so that the same wish again is a new one.
    pub number: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    Run,
    Pause,
    Stop,
}

impl Default for Request {
    fn default() -> Self {
        Self { wanted: Wanted::Run, number: 0 }
    }
}

/// `progress.json`: what was done about a job. The supervisor writes it; of Slurm's jobs, who submits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The last request to run that was followed.
    #[serde(default)]
    pub followed: u64,
    /// Of the process that was started last.
    #[serde(default)]
    pub pid: Option<u32>,
    /// The process that was asked to end: twice would end it without a checkpoint.
    #[serde(default)]
    pub asked: Option<u32>,
    /// Where it runs: `cpu`, `cuda:0`.
    #[serde(default)]
    pub slot: Option<String>,
    /// Starts so far.
    #[serde(default)]
    pub starts: u32,
    /// Crashes since the last progress, and the step at which the last one was.
    #[serde(default)]
    pub crashes: u32,
    #[serde(default)]
    pub crashed_at: usize,
    /// It is not started again before this.
    #[serde(default)]
    pub not_before: Option<jiff::Timestamp>,
    /// Why it does not run yet.
    #[serde(default)]
    pub waits_for: Option<String>,
    /// Slurm's number, `123` or `123_4` in an array.
    #[serde(default)]
    pub slurm_id: Option<String>,
}

/// A file of `job/`.
#[derive(Debug, Clone, Copy)]
pub enum Record {
    Spec,
    Request,
    Progress,
}

impl Record {
    pub fn path(self, run: &Path) -> PathBuf {
        run.join(JOB).join(match self {
            Self::Spec => "spec.json",
            Self::Request => "request.json",
            Self::Progress => "progress.json",
        })
    }
}

/// `None` where the file is not there.
pub fn read<T: DeserializeOwned>(run: &Path, kind: Record) -> Result<Option<T>> {
    let path = kind.path(run);
    let bytes = match std::fs::read(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(super::io(&path))?,
    };
    let wrong = |e: serde_json::Error| RecordError::Damaged {
        path: path.display().to_string(),
        reason: e.to_string(),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(wrong)
}

pub fn write(run: &Path, kind: Record, value: &impl Serialize) -> Result<()> {
    Ok(write_json(&kind.path(run), value)?)
}
