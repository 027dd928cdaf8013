//! The folder of a training run, as data: configuration, state, metrics, marks, event files,
//! checkpoints, and the records that make a run a job.
//!
//! The programs that show, queue or train runs share these types. This crate knows no tensors and no
//! screens: [`LearnerState`] hides the tensors of a checkpoint.

mod blocks;
mod captions;
mod checkpoints;
mod checksums;
mod config;
mod conversations;
mod data;
pub mod events;
mod guard;
pub mod job;
mod listing;
mod marks;
mod metrics;
mod position;
mod run_dir;
mod samples;
mod stage;
mod status;
mod update;
mod usage;

use std::path::Path;

pub use blocks::{Block, Look, looks};
pub use captions::Captions;
pub use checkpoints::{LearnerState, best_weights};
pub use config::{BridgeParts, PromptConfig, Resources, TrainConfig, TrainPrecision, VISION_NORM};
pub use conversations::{ConversationsConfig, ConversationsKind, Paths};
pub use data::{DataConfig, PairsConfig, PairsKind, folder_beside};
pub use guard::{Guard, GuardState, OnBad};
pub use listing::{run_folders, run_id, run_name};
pub use marks::{MARKS, Mark, MarkKind, note_mark};
pub use metrics::Metrics;
pub use position::{Best, Position};
pub use run_dir::RunDir;
pub use samples::{PICTURES, SAMPLES, Sample, Samples, samples};
pub use stage::{Mixture, Stage, StageKind, Talk, Weigh};
pub use status::{RunState, Status};
pub use update::Update;
pub use usage::ResourceUsage;

/// Steps between measurements of how large the updates of each block are.
pub const LOOK_EVERY: usize = 20;

/// What can go wrong with the folder of a run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A value of the configuration is out of range.
    #[error("the training configuration is wrong: {0}")]
    Config(String),
    /// A file of the run cannot be read or written.
    #[error("cannot read or write {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// Another process holds the lock of this run.
    #[error("another process is training in {0}")]
    Busy(String),
    /// A checkpoint or a record is damaged.
    #[error("the checkpoint {path} cannot be used ({reason})")]
    Checkpoint {
        /// The checkpoint's folder or the record.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The base model's hash is not the one the run began with.
    #[error("base-model hash mismatch: {0} was trained on another base model")]
    OtherBase(String),
}

/// A result whose error is about the folder of a run.
pub type Result<T> = std::result::Result<T, RunError>;

/// Adds the path to an error of the operating system: `fs::read(path).map_err(io(path))?`. Crates whose
/// errors hold a [`RunError`] use this one.
pub fn io(path: &Path) -> impl FnOnce(std::io::Error) -> RunError {
    let path = path.display().to_string();
    |source| RunError::Io { path, source }
}

/// [`artgpt_base::files::write_whole`] with an error that names the file.
///
/// # Errors
/// [`RunError::Io`].
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    artgpt_base::files::write_whole(path, bytes).map_err(io(path))
}

/// [`artgpt_base::files::write_json`] with an error that names the file.
///
/// # Errors
/// [`RunError::Io`].
pub fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<()> {
    artgpt_base::files::write_json(path, value).map_err(io(path))
}
