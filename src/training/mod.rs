//! Training the small parts: data, schedule, optimiser, step loop, checkpoints, metrics.

mod ahead;
mod align;
mod answer;
mod blocks;
mod cache;
mod captions;
mod config;
pub mod data;
mod examples;
mod guard;
mod learner;
mod meter;
#[cfg(feature = "mpi")]
mod mpi;
mod museum;
#[cfg(feature = "nccl")]
mod nccl;
mod optimiser;
pub mod outcome;
mod pack;
mod params;
mod peers;
mod run_dir;
mod samples;
mod schedule;
mod task;
pub mod tensorboard;
mod trainer;
mod update;

pub use answer::answer_loss;
pub use blocks::{Block, Look, looks};
pub use captions::{CaptionTask, Captions, open_feed};
pub use config::{BridgeParts, Resources, Stage, StageKind, TrainConfig, Weigh};
pub use examples::{Example, NO_PICTURE, NOT_ON_LABEL};
pub use guard::{Guard, OnBad, Watch};
#[cfg(feature = "mpi")]
pub use mpi::MpiPeers;
pub use museum::MuseumTask;
#[cfg(feature = "nccl")]
pub use nccl::NcclPeers;
pub use optimiser::{AdamW, Gradients};
pub use pack::{Packed, pack};
pub use params::{Params, name_hash};
pub use peers::{Alone, Peers};
pub use run_dir::{
    MARKS, Mark, MarkKind, Metrics, RunDir, RunState, Status, note_mark, run_folders, run_id,
    run_name, write_json, write_whole,
};
pub use samples::{PICTURES, Sample, Samples, samples};
pub use schedule::Schedule;
pub use task::{At, Batch, Network, Task, UnitLoss};
pub use trainer::{LOOK_EVERY, Outcome, Trainer};

/// What can go wrong in a run.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error(
        "the training configuration is wrong: {0}; compare it with examples/train/artgpt-smol.toml"
    )]
    Config(String),
    #[error("cannot read or write {path}: {source}; check permissions and free space")]
    Io {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("another process is training in {0}; stop it first, or start a new run")]
    Busy(String),
    #[error(
        "the checkpoint {path} cannot be used ({reason}); remove its folder to go on from the one before"
    )]
    Checkpoint { path: String, reason: String },
    #[error(
        "{0} was trained on another base model (its weights have another hash); give back the model that it began with, or start a new run"
    )]
    OtherBase(String),
    #[error(
        "{reason} at step {step}; lower the learning rate, or let [guard] skip such steps, and resume from the last checkpoint"
    )]
    Diverged { step: usize, reason: String },
    #[error(transparent)]
    Data(#[from] data::DataError),
    #[error(
        "the other processes of this run do not answer: one was lost, or all are stopping; resume the run from its last checkpoint"
    )]
    LostPeer,
    #[error("no picture of a whole batch can be read, first of all: {0}")]
    Picture(String),
    #[error(transparent)]
    Model(#[from] crate::model::Error),
    #[error(transparent)]
    Chat(#[from] crate::chat::ChatError),
    #[error(
        "tensor computation failed: {}; if memory is short, lower batch or threads",
        crate::text::first_line(.0)
    )]
    Tensor(#[from] candle_core::Error),
}

pub type Result<T> = std::result::Result<T, TrainError>;

/// Of tensors that cannot be written: candle says neither where nor what to do.
fn unwritten(path: &std::path::Path) -> impl FnOnce(candle_core::Error) -> TrainError {
    use candle_core::Error::{Context, Io, SafeTensor, WithBacktrace, WithPath};
    fn is_of_files(e: &candle_core::Error) -> bool {
        match e {
            Io(_) | SafeTensor(_) => true,
            Context { inner, .. } | WithPath { inner, .. } | WithBacktrace { inner, .. } => {
                is_of_files(inner)
            }
            _ => false,
        }
    }
    let io = io(path);
    |e| match is_of_files(&e) {
        true => io(std::io::Error::other(crate::text::first_line(&e))),
        false => TrainError::Tensor(e),
    }
}

fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> TrainError {
    let path = path.display().to_string();
    |source| TrainError::Io { path, source }
}
